"""The judge of client histories, with tables of histories that are linearizable and that are not."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Reply
from epaxos.verify.judges.history import History, NamedCommand, Operation, Outcome
from epaxos.verify.judges.linearizability import Judgement, Verdict, judge

OK = "OK"
Told = tuple[str, int, "int | None", Reply]


def history(*told: Told) -> list[Operation]:
    """Operations, each as (command, called, returned, reply).  `returned` None: it never returned; reply
    Ellipsis: it ended and the client does not know its outcome."""
    operations = []
    for number, (text, called, returned, reply) in enumerate(told):
        command = NamedCommand(text.encode().split())
        command.name = f"c{number}"
        operation = Operation(command.name, command, called, called, 0, returned=returned, reply=reply)
        if returned is not None:
            operation.outcome = Outcome.UNKNOWN if reply is Ellipsis else Outcome.ANSWERED
        operations.append(operation)
    return operations


def unknown(text: str, called: int, returned: int, ran: int | None = None) -> Operation:
    """An operation that its client has given up."""
    (operation,) = history((text, called, returned, None))
    operation.outcome = Outcome.UNKNOWN
    operation.ran = ran
    return operation


LINEARIZABLE: dict[str, Sequence[Told]] = {
    "nothing": [],
    "one after the other": [("SET x 1", 1, 2, OK), ("GET x", 3, 4, b"1")],
    "a read of what was never written": [("GET x", 1, 2, None)],
    "a read at the same time sees the old value": [("SET x 1", 1, 4, OK), ("GET x", 2, 3, None)],
    "a read at the same time sees the new value": [("SET x 1", 1, 4, OK), ("GET x", 2, 3, b"1")],
    "two writes at the same time, in either order": [
        ("SET x 1", 1, 4, OK), ("SET x 2", 2, 3, OK), ("GET x", 5, 6, b"1"),
    ],
    "a write that never returned was seen": [("SET x 1", 1, None, None), ("GET x", 2, 3, b"1")],
    "a write that never returned was not seen": [("SET x 1", 1, None, None), ("GET x", 2, 3, None)],
    "a write that never returned takes effect late": [
        ("SET x 1", 1, None, None), ("GET x", 2, 3, None), ("GET x", 4, 5, b"1"),
    ],
    "counters": [("INCR x", 1, 4, 2), ("INCR x", 2, 3, 1), ("INCRBY x -3", 5, 6, -1)],
    "a counter that is no number": [("SET x a", 1, 2, OK), ("INCR x", 3, 4, CommandError("ERR no"))],
    "several keys at once": [
        ("MSET x 1 y 1", 1, 2, OK), ("MSET x 2 y 2", 3, 8, OK), ("MGET x y", 4, 5, [b"1", b"1"]),
        ("MGET y x", 6, 7, (b"2", b"2")),
    ],
    "delete": [("SET x 1", 1, 2, OK), ("DEL x y", 3, 4, 1), ("EXISTS x", 5, 6, 0)],
    "the keys are independent": [
        ("SET x 1", 1, 2, OK), ("SET y 1", 3, 8, OK), ("GET x", 4, 5, b"1"), ("GET y", 6, 7, b"1"),
    ],
    "the size of everything": [("SET x 1", 1, 2, OK), ("FLUSHDB", 3, 6, OK), ("DBSIZE", 4, 5, 1)],
    "options": [("SET x 1 XX", 1, 2, None), ("SET x 1 NX", 3, 4, OK), ("SETNX x 2", 5, 6, 0)],
    "the rest": [
        ("APPEND x ab", 1, 2, 2), ("STRLEN x", 3, 4, 2), ("GETSET x c", 5, 6, b"ab"),
        ("GETDEL x", 7, 8, b"c"),
        ("MSETNX x 1 y 1", 9, 10, 1), ("MSETNX y 2 z 2", 11, 12, 0),
    ],
}  # fmt: skip

NOT_LINEARIZABLE: dict[str, Sequence[Told]] = {
    "an old value": [("SET x 1", 1, 2, OK), ("GET x", 3, 4, None)],
    "a value that nobody wrote": [("SET x 1", 1, 2, OK), ("GET x", 3, 4, b"2")],
    "new, and then old again": [
        ("SET x 1", 1, 2, OK), ("SET x 2", 3, 10, OK), ("GET x", 4, 5, b"2"), ("GET x", 6, 7, b"1"),
    ],
    "two readers disagree about the order": [
        ("SET x 1", 1, 2, OK), ("SET x 2", 1, 2, OK), ("GET x", 3, 4, b"1"), ("GET x", 5, 6, b"2"),
    ],
    "an increment was lost": [("INCR x", 1, 2, 1), ("INCR x", 1, 2, 1)],
    "an increment was made twice": [("INCR x", 1, 2, 1), ("GET x", 3, 4, b"2")],
    "a write that never returned was undone": [
        ("SET x 1", 1, None, None), ("GET x", 2, 3, b"1"), ("GET x", 4, 5, None),
    ],
    "seen before it was called": [("GET x", 1, 2, b"1"), ("SET x 1", 3, None, None)],
    "half of several keys": [
        ("MSET x 1 y 1", 1, 2, OK), ("MSET x 2 y 2", 3, 6, OK), ("MGET x y", 4, 5, [b"1", b"2"]),
    ],
    "several keys, torn between two readers": [
        ("MSET x 1 y 1", 1, 10, OK), ("GET x", 2, 3, b"1"), ("GET y", 4, 5, None),
    ],
    "two keys that are written one after the other, seen the wrong way round": [
        ("SET x 1", 1, 2, OK), ("SET y 1", 3, 4, OK), ("MGET x y", 5, 6, [None, b"1"]),
    ],
    "long fork: two readers see two writes in different orders": [
        ("SET x 1", 1, 8, OK), ("SET y 1", 1, 8, OK),
        ("MGET x y", 2, 3, [b"1", None]), ("MGET x y", 4, 5, [None, b"1"]),
    ],
    "the size does not fit": [("SET x 1", 1, 2, OK), ("DBSIZE", 3, 4, 2)],
    "flushed, and yet there": [("SET x 1", 1, 2, OK), ("FLUSHDB", 3, 4, OK), ("GET x", 5, 6, b"1")],
    "an error where there is none": [("INCR x", 1, 2, CommandError("ERR"))],
    "no error where there is one": [("SET x a", 1, 2, OK), ("INCR x", 3, 4, 1)],
    "a string for a number": [("INCR x", 1, 2, b"1")],
}  # fmt: skip


class JudgeTests(SynchronousTestCase):
    def check(self, operations: Sequence[Operation], verdict: Verdict, name: str = "") -> Judgement:
        judgement = judge(operations)
        self.assertIs(judgement.verdict, verdict, f"{name}: {judgement.explanation}")
        return judgement

    def test_linearizable(self) -> None:
        for name, told in LINEARIZABLE.items():
            self.check(history(*told), Verdict.LINEARIZABLE, name)

    def test_not_linearizable(self) -> None:
        for name, told in NOT_LINEARIZABLE.items():
            judgement = self.check(history(*told), Verdict.NOT_LINEARIZABLE, name)
            self.assertIn(">> ", judgement.explanation, name)

    def test_the_order_in_which_operations_are_told_says_nothing(self) -> None:
        for table, verdict in (
            (LINEARIZABLE, Verdict.LINEARIZABLE),
            (NOT_LINEARIZABLE, Verdict.NOT_LINEARIZABLE),
        ):
            for name, told in table.items():
                self.check(history(*reversed(told)), verdict, name)

    def test_given_up(self) -> None:
        """An operation that was given up may run later, or never, but not before its call."""
        for ran in (None, 3, 9):
            write = unknown("SET x 1", 1, 2, ran)
            self.check([write, *history(("GET x", 3, 4, None), ("GET x", 6, 7, b"1"))], Verdict.LINEARIZABLE)
            self.check([write, *history(("GET x", 3, 4, b"1"))], Verdict.LINEARIZABLE)
            self.check([write, *history(("GET x", 3, 4, None))], Verdict.LINEARIZABLE)
            self.check(
                [write, *history(("GET x", 3, 4, b"1"), ("GET x", 6, 7, None))], Verdict.NOT_LINEARIZABLE
            )
        late = unknown("SET x 1", 5, 6)
        self.check([late, *history(("GET x", 3, 4, b"1"))], Verdict.NOT_LINEARIZABLE)

    def test_refused(self) -> None:
        """An operation that was refused must not have run."""
        write = unknown("SET x 1", 1, 2)
        write.outcome = Outcome.REFUSED
        self.check([write, *history(("GET x", 3, 4, None))], Verdict.LINEARIZABLE)
        self.check([write, *history(("GET x", 3, 4, b"1"))], Verdict.NOT_LINEARIZABLE)

    def test_refused_and_seen_to_run(self) -> None:
        write = unknown("SET x 1", 1, 2, ran=3)
        write.outcome = Outcome.REFUSED
        judgement = self.check([write], Verdict.NOT_LINEARIZABLE)
        self.assertIn("it was refused, and has run: c0", judgement.explanation)

    def seen(self, *told: tuple[str, int, int, Reply, int]) -> list[Operation]:
        """Operations, each with the moment when it was seen to run."""
        operations = history(*((text, called, returned, reply) for text, called, returned, reply, _ in told))
        for operation, (*_, ran) in zip(operations, told):
            operation.ran = ran
        return operations

    def test_as_seen(self) -> None:
        """The order in which operations ran explains in a few steps a history that otherwise takes a
        search."""
        writes = [(f"APPEND x {i:02}", 1, 100, 2 * i + 2, 2 + i) for i in range(30)]
        read = ("GET x", 101, 103, b"".join(b"%02d" % i for i in range(30)), 102)
        judgement = judge(self.seen(*writes, read), steps_max=1)
        self.assertEqual((judgement.verdict, judgement.steps), (Verdict.LINEARIZABLE, 0))

    def test_what_was_seen_proves_nothing_against_a_history(self) -> None:
        """Another order may explain it, because replicas know when an operation runs, and clients do not."""
        swapped = self.seen(("SET x 1", 1, 9, OK, 3), ("SET x 2", 1, 9, OK, 2), ("GET x", 10, 12, b"2", 11))
        self.check(swapped, Verdict.LINEARIZABLE)

    def test_an_order_that_was_seen_and_cannot_be(self) -> None:
        """Effects before the call or after the return explain nothing."""
        for ran in (1, 9):
            told = self.seen(("GET x", 2, 3, b"1", ran), ("SET x 1", 4, 6, OK, 5))
            self.check(told, Verdict.NOT_LINEARIZABLE)
        for called, ran in ((4, 1), (4, 9)):
            told = self.seen(("GET x", 2, 3, b"1", 2), ("SET x 1", called, 6, OK, ran))
            self.check(told, Verdict.NOT_LINEARIZABLE)

    def test_many_at_once(self) -> None:
        """Twenty writers at once are judged quickly and correctly."""
        told: list[Told] = [(f"SET x {i}", 1, 100, OK) for i in range(20)]
        self.check(history(*told, ("GET x", 101, 102, b"7")), Verdict.LINEARIZABLE)

    def test_given_up_in_bounded_time(self) -> None:
        told: list[Told] = [(f"APPEND x {i}", 1, 100, None if i < 15 else ...) for i in range(15)]
        told.append(("GET x", 101, 102, b"no"))
        operations = history(*told)
        for operation in operations[:-1]:
            operation.outcome = Outcome.UNKNOWN
        self.assertIs(judge(operations, steps_max=500).verdict, Verdict.UNDECIDED)


class HistoryTests(SynchronousTestCase):
    def test_moments(self) -> None:
        calls = History()
        first = calls.call("a", (b"GET", b"x"), 10, 0)
        second = calls.call("b", (b"GET", b"x"), 10, 1)
        calls.run("b")
        calls.answer(second, b"1")
        calls.give_up(first, may_have_run=False)
        self.assertEqual((first.called, second.called, second.ran, second.returned), (1, 2, 3, 4))
        self.assertIs(first.outcome, Outcome.REFUSED)
        self.assertRaises(ValueError, calls.answer, first, b"1")
        self.assertIn("GET x -> b'1'", str(second))
