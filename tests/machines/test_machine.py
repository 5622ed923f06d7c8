"""Machines: what follows from a signature, and that a command that fails changes nothing."""

from __future__ import annotations

import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import (
    CommandError,
    CommandInfo,
    ICountsKeys,
    IRestoresInParts,
    IStateMachineFactory,
    IStepwise,
    Ready,
    Reply,
)
from epaxos.machines import EVERYTHING, Alone, Machine, MachineFactory, Refused, Table, command
from epaxos.machines.runner import MachineRunner
from epaxos.machines.tables import VALUE_BYTES_MAX
from epaxos.protocol.values.ids import InstanceId


class Store(Machine):
    """A bit of everything.

    Not the description.
    """

    numbers = Table(int)
    lists = Table(list)
    plain = Table[Any]()

    @command(writes="key")
    def add(self, key: str, by: int = 1) -> int:
        self.numbers[key] += by
        return self.numbers[key]

    @command(writes=("source", "target"), reads="rate")
    def move(self, source: str, target: str, amount: int, rate: str) -> list[int]:
        self.numbers[source] -= amount
        self.numbers[target] += amount * self.numbers[rate]
        if self.numbers[source] < 0:
            raise Refused(f"{source} has too little", code="POOR")
        return [self.numbers[source], self.numbers[target]]

    @command(writes="key")
    def push(self, key: int, *items: object) -> list[Any]:
        self.lists[key].extend(items)
        return self.lists[key]

    @command(reads="key")
    def get(self, key: str) -> int:
        return self.numbers[key]

    @command(reads="keys")
    def sum(self, *keys: str) -> int:
        return sum(self.numbers[key] for key in keys)

    @command(reads=EVERYTHING)
    def all(self) -> dict[str, int]:
        return dict(self.numbers)

    @command(writes=EVERYTHING)
    def flush(self) -> int:
        count = len(self.numbers)
        self.numbers.clear()
        return count

    @command(writes="key")
    def put(self, key: bytes, value: object) -> None:
        self.plain[key] = value

    @command(reads="key")
    def look(self, key: bytes) -> object:
        return self.plain[key]

    @command(writes="key")
    def drop(self, key: bytes) -> bool:
        return self.plain.pop(key, None) is not None


class Wrong(Store):
    """Commands that break rules; each changes what it may first."""

    @command(writes="key")
    def other_key(self, key: str) -> None:
        self.numbers[key] = 9
        self.numbers["other"] = 9

    @command(writes="key", reads="seen")
    def change_what_is_read(self, key: str, seen: str) -> None:
        self.numbers[key] = 9
        self.lists[seen].append(1)

    @command(writes="key", reads="seen")
    def set_what_is_read(self, key: str, seen: str) -> None:
        self.numbers[key] = 9
        self.numbers[seen] = 9

    @command(writes="key")
    def attribute(self, key: str) -> None:
        self.numbers[key] = 9
        self.count = 9

    @command(writes="key")
    def table(self, key: str) -> None:
        self.numbers = {key: 9}  # type: ignore[assignment]

    @command(writes="key")
    def iterate(self, key: str) -> int:
        self.numbers[key] = 9
        return len(self.numbers)

    @command(writes="key")
    def keep_a_set(self, key: str) -> None:
        self.numbers[key] = 9
        self.plain[key] = {1}

    @command(writes="key")
    def return_an_object(self, key: str) -> object:
        self.numbers[key] = 9
        return self

    @command(writes="key")
    def raise_something(self, key: str) -> None:
        self.numbers[key] = 9
        raise KeyError(f"{self!r} at an address")

    @command(writes="key")
    def never_end(self, key: str) -> None:
        self.numbers[key] = 9
        self.never_end(key)

    @command(writes="key")
    def too_long(self, key: str) -> None:
        self.numbers[key] = 9
        self.plain[key] = "a" * VALUE_BYTES_MAX

    @command(writes="key")
    def wrong_key(self, key: str) -> None:
        self.numbers[key] = 9
        self.numbers[1.5] = 9

    @command(writes="key")
    def no_memory(self, key: str) -> None:
        raise MemoryError


MISTAKES = {
    "other_key": "numbers: the key 'other' is not among those that the command names",
    "attribute": "AttributeError",
    "table": "AttributeError",
    "iterate": "numbers: only a command that names EVERYTHING sees all keys",
    "keep_a_set": "a value of the type set can be neither kept nor answered",
    "return_an_object": "a value of the type Wrong can be neither kept nor answered",
    "raise_something": "KeyError",
    "never_end": "RecursionError",
    "too_long": "plain: a value of more than 131072 bytes",
    "wrong_key": "numbers: a key is a str, bytes or an int, not float",
}


class CommandsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Alone(Store)
        self.call = self.store.call

    def test_results(self) -> None:
        self.assertEqual(self.call("add", "a"), 1)
        self.assertEqual(self.call("add", "a", by=6), 7)
        self.call("add", "rate", 2)
        self.assertEqual(self.call("move", "a", "b", 3, "rate"), [4, 6])
        self.assertEqual(self.call("push", 1, "x", b"y", (1, None)), ["x", b"y", (1, None)])
        self.assertEqual(self.call("push", 1), ["x", b"y", (1, None)])
        self.assertEqual(self.call("sum", "a", "b", "nothing"), 10)
        self.assertEqual(self.call("sum"), 0)
        self.assertEqual(self.call("all"), {"a": 4, "b": 6, "rate": 2})
        self.assertEqual(self.call("flush"), 3)
        self.assertEqual(self.call("all"), {})

    def test_a_value_that_equals_the_default_is_not_kept(self) -> None:
        self.call("add", "a", 5)
        self.call("add", "a", -5)
        self.call("push", 1)
        self.assertEqual(list(self.store._runner.entries()), [])
        self.assertEqual(self.call("all"), {})

    def test_a_table_without_a_default(self) -> None:
        error = self.assertRaises(CommandError, self.call, "look", b"k")
        self.assertEqual(str(error), "ERR look failed: KeyError; nothing was changed")
        self.flushLoggedErrors(KeyError)
        self.call("put", b"k", None)
        self.assertIs(self.call("look", b"k"), None)
        self.assertEqual([self.call("drop", b"k"), self.call("put", b"k", 0)], [False, None])
        self.assertEqual([self.call("drop", b"k"), self.call("drop", b"k")], [True, False])

    def test_keys_of_different_types_are_different_keys(self) -> None:
        class Mixed(Machine):
            seen = Table(int)

            @command(writes="key")
            def text(self, key: str) -> int:
                self.seen[key] += 1
                return self.seen[key]

            @command(writes="key")
            def number(self, key: int) -> int:
                self.seen[key] += 1
                return self.seen[key]

        mixed = Alone(Mixed)
        self.assertEqual([mixed.call("text", "1"), mixed.call("number", 1)], [1, 1])

    def test_a_refusal_changes_nothing(self) -> None:
        self.call("add", "a", 2)
        error = self.assertRaises(CommandError, self.call, "move", "a", "b", 3, "rate")
        self.assertEqual(str(error), "POOR a has too little")
        self.assertEqual(self.call("all"), {"a": 2})
        self.assertRaises(ValueError, Refused, "text", code="no code")

    def test_each_mistake_is_an_error_and_undone(self) -> None:
        wrong = Alone(Wrong)
        wrong.call("add", "k", 4)
        limit = sys.getrecursionlimit()
        for name, text in MISTAKES.items():
            error = self.assertRaises(CommandError, wrong.call, name, "k")
            self.assertEqual(str(error), f"ERR {name} failed: {text}; nothing was changed")
            self.assertEqual(len(self.flushLoggedErrors()), 1, name)
        for name in ("change_what_is_read", "set_what_is_read"):
            error = self.assertRaises(CommandError, wrong.call, name, "k", "other")
            self.assertIn("only reads", str(error))
            self.assertEqual(len(self.flushLoggedErrors()), 1, name)
        self.assertEqual(wrong.call("all"), {"k": 4})
        self.assertEqual(sys.getrecursionlimit(), limit)

    def test_nothing_ends_a_batch_in_its_midst(self) -> None:
        class Own(Refused):
            def __str__(self) -> str:
                raise LookupError

        class Leaving(Machine):
            """Raises what is no Exception, or a refusal without a text."""

            numbers = Table(int)

            @command(writes="key")
            def leave(self, key: str, how: int) -> None:
                self.numbers[key] = 1
                raise (SystemExit(3), GeneratorExit(), BaseException("x"), Own("text"))[how]

            @command(writes="key")
            def interrupted(self, key: str) -> None:
                raise KeyboardInterrupt

            @command(reads="key")
            def get(self, key: str) -> int:
                return self.numbers[key]

        leaving = Alone(Leaving)
        for how, kind in enumerate(("SystemExit", "GeneratorExit", "BaseException", "LookupError")):
            error = self.assertRaises(CommandError, leaving.call, "leave", "k", how)
            self.assertEqual(str(error), f"ERR leave failed: {kind}; nothing was changed")
            self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.assertEqual(leaving.call("get", "k"), 0)
        self.assertRaises(ValueError, leaving.call, "interrupted", "k")

    def test_a_default_is_never_shared(self) -> None:
        shared: list[str] = []

        class Sharing(Machine):
            names = Table(lambda: shared)

            @command(writes="key")
            def add(self, key: str) -> list[str]:
                self.names[key].append(key)
                return self.names[key]

        sharing = Alone(Sharing)
        self.assertEqual([sharing.call("add", key) for key in "aab"], [["a"], ["a", "a"], ["b"]])
        self.assertEqual(shared, [])

    def test_without_memory_the_replica_has_to_stop(self) -> None:
        self.assertRaises(ValueError, Alone(Wrong).call, "no_memory", "k")

    def test_wrong_calls(self) -> None:
        for error, name, *arguments in (
            (AttributeError, "nothing"), (AttributeError, "numbers"), (TypeError, "add"),
            (TypeError, "add", 1),
            (TypeError, "add", "a", "b"), (TypeError, "add", "a", 1, 2), (ValueError, "add", "a", 2**300),
            (ValueError, "put", b"k", {1}),
        ):  # fmt: skip
            self.assertRaises(error, self.call, name, *arguments)  # type: ignore[arg-type]

    def test_tables_are_seen_by_commands_only(self) -> None:
        store = Store()
        self.assertRaises(RuntimeError, lambda: store.numbers)
        self.assertIsInstance(Store.numbers, Table)


class SignaturesTests(SynchronousTestCase):
    def test_signatures_that_say_too_little(self) -> None:
        def no_keys(self: Machine, key: str) -> None: ...
        def no_type(self, key): ...  # type: ignore[no-untyped-def]
        def no_such_type(self: Machine, key: set[int]) -> None: ...
        def float_key(self: Machine, key: float) -> None: ...
        def only_named(self: Machine, *, key: str) -> None: ...
        def wrong_default(self: Machine, key: str = 3) -> None: ...  # type: ignore[assignment]

        for method, writes, text in (
            (no_keys, (), "name the keys"),
            (no_keys, "name", "no parameter 'name'"),
            (no_type, "key", "the type of key must be one of str, bytes, int"),
            (no_such_type, "key", "the type of key must be one of"),
            (float_key, "key", "key is a key, so its type is str, bytes or int"),
            (only_named, "key", "key is not a parameter such as"),
            (wrong_default, "key", "the default of key must be a str, not int"),
        ):
            body = {method.__name__: command(writes=writes)(method)}
            error = self.assertRaises(TypeError, type, "Mine", (Machine,), body)
            self.assertIn(f"Mine.{method.__name__}: ", str(error))
            self.assertIn(text, str(error))

    def test_two_methods_of_one_name(self) -> None:
        class First(Machine):
            @command(writes="key")
            def set(self, key: str) -> None: ...

        def replacement(self: Machine, key: str) -> None: ...

        method = command(writes="key")(replacement)
        error = self.assertRaises(TypeError, type, "Mine", (First,), {"Set": method})
        self.assertIn("Mine: Set and set are one command", str(error))
        self.assertEqual(list(type("Mine", (First,), {"set": method}).command_specs), ["SET"])  # type: ignore[attr-defined]

    def test_what_command_shows(self) -> None:
        self.assertEqual(
            {info.name: info[1:6] for info in MachineRunner(Store()).commands()},
            {
                "add": (-2, True, 1, 1, 1),
                "all": (1, False, 0, 0, 0),
                "drop": (2, True, 1, 1, 1),
                "flush": (1, True, 0, 0, 0),
                "get": (2, False, 1, 1, 1),
                "look": (2, False, 1, 1, 1),
                "move": (5, True, 0, 0, 0),  # 1, 2 and 4 are not evenly spaced
                "push": (-2, True, 1, 1, 1),
                "put": (3, True, 1, 1, 1),
                "sum": (-1, False, 1, -1, 1),
            },
        )
        self.assertIsInstance(MachineRunner(Store()).commands()[0], CommandInfo)

    def test_a_key_and_everything(self) -> None:
        """A command that names both is shown as one that concerns all keys."""

        class Both(Machine):
            items = Table()

            @command(writes=EVERYTHING, reads="item")
            def both(self, item: str) -> None:
                """Change much."""

            @command(writes="item")
            def one(self, item: str) -> None:
                """Change one."""

        self.assertEqual(
            {info.name: info.is_barrier for info in MachineRunner(Both()).commands()},
            {"both": True, "one": False},
        )


class RunnerTests(SynchronousTestCase):
    """A machine as a replica sees it."""

    def setUp(self) -> None:
        self.runner = MachineRunner(Store())
        self.slot = 0
        self.batches: list[Ready] = []

    def run_batch(self, *lines: str, runner: MachineRunner | None = None) -> list[Reply]:
        runner = runner or self.runner
        commands = [line.encode().split() for line in lines]
        for words in commands:
            runner.check(words)
        self.slot += 1
        self.batches.append(Ready(InstanceId(0, self.slot), runner.batch(commands), True))
        (replies,) = runner.apply(self.batches[-1:])
        return list(replies)

    def test_interfaces(self) -> None:
        for interface in (IStepwise, IRestoresInParts, ICountsKeys):
            verifyObject(interface, self.runner)

    def test_factory(self) -> None:
        factory = MachineFactory(Store)
        verifyObject(IStateMachineFactory, factory)
        self.assertEqual((factory.name, factory.description), ("store", "A bit of everything."))
        self.assertEqual(MachineFactory(Store, "other").name, "other")
        verifyObject(IStepwise, factory.create({}))
        self.assertRaises(ValueError, factory.create, {"size": "3"})

    def test_replies_for_clients_of_redis(self) -> None:
        replies = self.run_batch("add a 2", "ADD a", "=add a", f"add c {2**70}", "sum a b", "all")
        self.assertEqual(replies, [2, 3, b"4", b"%d" % 2**70, 4, [b"a", 4, b"c", b"%d" % 2**70]])
        replies = self.run_batch("put k 1.5", "look k", "=look k", "put k true", "look k")
        self.assertEqual(replies, [None, b"1.5", b"1.5", None, 1])
        replies = self.run_batch('put k {"x":[null,"ä"]}', "look k", "=look k", "drop k")
        self.assertEqual(replies, [None, [b"x", [None, "ä".encode()]], '{"x":[null,"ä"]}'.encode(), 1])
        (reply,) = self.run_batch("move a b 9 r")
        self.assertEqual(str(reply), "POOR a has too little")

    def test_commands_that_are_refused(self) -> None:
        for line, text in (
            ("nothing", "ERR unknown command 'nothing'"),
            ("add", "ERR wrong number of arguments for 'add' command"),
            ("add a 1 2", "ERR wrong number of arguments for 'add' command"),
            ("all a", "ERR wrong number of arguments for 'all' command"),
            ("add a b", "ERR add: by must be an integer"),
            ("=push 01 1", "ERR push: key must be an integer"),
            ("push 1 2 [", "ERR push: items must be a value in JSON"),
        ):
            error = self.assertRaises(CommandError, self.runner.check, line.encode().split())
            self.assertEqual(str(error), text)
        self.assertRaises(CommandError, self.runner.check, [b"\xff"])

    def test_keys_of_a_batch(self) -> None:
        batch = self.runner.batch(
            [b"move a b 1 r".split(), b"get c".split(), b"get a".split(), b"push 7".split()]
        )
        self.assertEqual(
            (batch.writes, batch.reads, batch.barrier), ((b"a", b"b", b"7"), (b"r", b"c"), False)
        )
        self.assertTrue(self.runner.batch([b"get c".split(), b"all".split()]).barrier)

    def test_reads(self) -> None:
        names = [b"get", b"=GET", b"look", b"sum", b"all", b"add", b"nothing", b"\xff"]
        self.assertEqual([self.runner.is_read(name) for name in names], [True] * 3 + [False] * 5)
        self.run_batch("add a 2")
        self.assertEqual(self.runner.read([[b"GET", b"a"], [b"=get", b"b"]]), [2, b"0"])

    def test_a_read_whose_key_may_be_left_out(self) -> None:
        """The replica takes the key of a read from its first argument, so this one needs an instance."""

        class Defaulted(Store):
            @command(reads="key")
            def first(self, key: str = "a") -> int:
                return self.numbers[key]

        runner = MachineRunner(Defaulted())
        self.assertFalse(runner.is_read(b"first"))
        runner.check([b"first"])
        self.assertEqual(runner.batch([[b"first"]]).reads, (b"a",))

    def test_steps(self) -> None:
        """A batch is done in steps, and one that nobody waits for has no replies."""
        runner = MachineRunner(Store(), bytes_per_step=1)
        batch = runner.batch([b"add a".split()] * 3)
        steps = list(runner.apply_in_steps(Ready(InstanceId(0, 1), batch, True)))
        self.assertEqual(steps, [None, None, [1, 2, 3]])
        self.assertEqual(list(runner.apply_in_steps(Ready(InstanceId(0, 2), batch, False)))[-1], [])

    def test_the_whole_state(self) -> None:
        """It stays as it was while batches are applied, and what is restored goes on."""
        lines = (["add a 2", "push 1 3"], ["add a -2", "put k [1]"], ["flush", "add z 3"], ["drop k"])
        states = [dict(self.runner.entries())]
        snapshots = []
        for batch in lines:
            self.run_batch(*batch)
            states.append(dict(self.runner.entries()))
            snapshots.append(self.runner.entries())
        self.assertEqual([dict(snapshot) for snapshot in snapshots], states[1:])
        self.assertEqual([len(state) for state in states], [0, 2, 2, 3, 2])
        self.assertEqual(self.runner.keys(), 2)
        for number, state in enumerate(states):
            again = MachineRunner(Store())
            again.restore(dict(state), iter(self.batches[number:4]))
            self.assertEqual(dict(again.entries()), states[-1])
            self.assertEqual(self.run_batch("add z", "all", runner=again), [4, [b"z", 4]])

    def test_batches_of_others(self) -> None:
        other = MachineRunner(Wrong())
        batch = other.batch([[b"other_key", b"k"]])
        self.assertRaises(ValueError, self.runner.apply, [Ready(InstanceId(0, 1), batch, True)])
        broken = batch._replace(payload=b"\xff")
        self.assertRaises(ValueError, other.apply, [Ready(InstanceId(0, 1), broken, True)])
