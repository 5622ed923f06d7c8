"""The printer, and how state machines are found."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import CommandError, IStateMachine, IStateMachineFactory, Ready
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import encode_commands
from epaxos.statemachines.printer import Printer
from epaxos.statemachines.registry import find_factory


def words(text: str) -> list[bytes]:
    return [b"PRINT", *text.encode().split()]


class PrinterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[str] = []
        self.printer = Printer(self.lines.append)

    def print(self, slot: int, *texts: str) -> list[object]:
        commands = [words(text) for text in texts]
        for command in commands:
            self.printer.check(command)
        batch = self.printer.batch(commands)
        return list(self.printer.apply([Ready(InstanceId(1, slot), batch, True)])[0])

    def test_lines(self) -> None:
        verifyObject(IStateMachine, self.printer)
        self.assertEqual(self.print(1, "a hello world", "b x"), [1, 1])
        self.assertEqual(self.print(2, "a again"), [2])
        self.assertEqual(self.lines, ["1.1 a hello world", "1.1 b x", "1.2 a again"])

    def test_the_digest_tells_orders_apart(self) -> None:
        self.print(1, "a x")
        self.print(2, "a y")
        other = Printer(self.lines.append)
        first, second = (other.batch([[b"PRINT", b"a", text]]) for text in (b"x", b"y"))
        other.apply([Ready(InstanceId(1, 2), second, True), Ready(InstanceId(1, 1), first, True)])
        self.assertNotEqual(list(self.printer.entries()), list(other.entries()))

    def test_nothing_is_only_read(self) -> None:
        for name in (b"PRINT", b"print"):
            self.assertFalse(self.printer.is_read(name))

    def test_restart_goes_on(self) -> None:
        """From a state and what was executed since; nothing is printed again, and all that comes later is."""
        texts = (["a x", "b x"], ["a y"], ["b y", "b z", "c x"])
        ready = [
            Ready(InstanceId(1, slot), self.printer.batch([words(text) for text in each]), False)
            for slot, each in enumerate(texts, 1)
        ]
        entries = [dict(self.printer.entries())]
        for one in ready:
            self.printer.apply([one])
            entries.append(dict(self.printer.entries()))
        for split in range(len(texts) + 1):
            lines: list[str] = []
            again = Printer(lines.append)
            again.restore(dict(entries[split]), iter(ready[split:]))
            self.assertEqual(lines, [])
            self.assertEqual(dict(again.entries()), entries[-1])
            batch = again.batch([words("b more")])
            self.assertEqual(again.apply([Ready(InstanceId(1, 4), batch, True)]), [[4]])
            self.assertEqual(lines, ["1.4 b more"])

    def test_refusals(self) -> None:
        for command in ([b"GET", b"a"], [b"PRINT", b"a"]):
            self.assertRaises(CommandError, self.printer.check, command)
            self.assertFalse(self.printer.is_valid_shape(command[0], len(command)))

    def test_unknown_commands_are_quoted_within_bounds(self) -> None:
        error = self.assertRaises(CommandError, self.printer.check, [b"\xff" * 1_000_000])
        self.assertLess(len(str(error)), 1000)

    def test_foreign_payloads(self) -> None:
        for command in ([b"PRINT"], [b"PRINT", b"a"], [b"SET", b"a", b"1"]):
            good = [b"PRINT", b"a", b"x"]
            batch = Batch((b"a",), (), encode_commands([good, command]), 2)
            self.assertRaises(ValueError, self.printer.apply, [Ready(InstanceId(1, 1), batch, True)])
            again = Printer(self.lines.append)
            self.assertRaises(ValueError, again.restore, {}, [Ready(InstanceId(1, 1), batch, False)])
            self.assertEqual(self.lines, [])


class RegistryTests(SynchronousTestCase):
    def test_ours_are_found(self) -> None:
        for name in ("kv", "printer"):
            factory = find_factory(name)
            verifyObject(IStateMachineFactory, factory)
            self.assertEqual(factory.name, name)
            verifyObject(IStateMachine, factory.create({}))

    def test_unknown_ones_are_refused(self) -> None:
        error = self.assertRaises(ValueError, find_factory, "nope")
        self.assertIn("known are kv, printer", str(error))

    def test_unknown_options_are_refused(self) -> None:
        self.assertRaises(ValueError, find_factory("kv").create, {"colour": "red"})
        self.assertRaises(ValueError, find_factory("printer").create, {"output": "/no/such/folder/file"})

    def test_printer_output(self) -> None:
        path = self.mktemp()
        printer = find_factory("printer").create({"output": path})
        printer.apply([Ready(InstanceId(0, 1), printer.batch([[b"PRINT", b"k", b"text"]]), False)])
        with open(path) as printed:
            self.assertEqual(printed.read(), "0.1 k text\n")
