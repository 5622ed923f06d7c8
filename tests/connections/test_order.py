"""The order of a connection: what waits for what, what goes on together, and what a failure does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from epaxos.connections.order import BEHIND_A_FAILURE, COMMANDS_TOGETHER, Order
from epaxos.interfaces import Command, CommandInfo, Outcome, Unavailable

FAILED = Unavailable("CLUSTERDOWN no quorum; the command may still run", True)


class Replica:
    """Holds what is submitted until the test answers it.

    `R…` and `L…` only read; who knows what `S…` writes.
    """

    def __init__(self) -> None:
        self.under_way: list[tuple[Sequence[Command], Callable[[Outcome], None], int]] = []

    def is_read(self, name: bytes) -> bool:
        return name in (b"R", b"L")

    def commands(self) -> Sequence[CommandInfo]:
        return [
            CommandInfo("r", 2, False, 1, 1, 1),
            CommandInfo("w", 2, True, 1, 1, 1),
            CommandInfo("d", -1, True, 1, 1, 1),  # it has a default key
            CommandInfo("s", -2, True, 0, 0, 0),
            CommandInfo("m", -2, True, 1, -1, 1),
            CommandInfo("f", -2, True, 1, 1, 1, finds_keys=True),
            CommandInfo("b", -2, True, 1, 1, 1, is_barrier=True),
        ]

    def submit(
        self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        self.under_way.append((commands, done, size_bytes))

    def texts(self) -> list[str]:
        return [text_of(commands) for commands, _, _ in self.under_way]

    def answer(self, place: int = 0, outcome: Outcome | None = None) -> None:
        commands, done, _ = self.under_way.pop(place)
        done([command[1] for command in commands] if outcome is None else outcome)


def text_of(commands: Sequence[Command]) -> str:
    return " ".join(b"".join(command).decode() for command in commands)


class OrderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.replica = Replica()
        self.order = Order(cast(Any, self.replica))
        self.outcomes: list[tuple[str, Outcome]] = []

    def submit(self, text: str) -> None:
        commands = [[word[:1].encode(), word[1:].encode()] for word in text.split()]
        self.order.submit(commands, lambda outcome: self.outcomes.append((text, outcome)), len(commands))

    def test_what_waits(self) -> None:
        """Each row: what is submitted one after the other, what is under way at once, and what after the
        first answer, which is that of a write where there is one."""
        for submitted, at_once, after in (
            (["W1", "W2"], ["W1"], ["W2"]),
            (["W1", "W2", "W3 W4"], ["W1"], ["W2 W3 W4"]),
            (["R1", "R2"], ["R1", "R2"], ["R2"]),
            (["W1", "R2", "R3"], ["W1", "R2", "R3"], ["R2", "R3"]),
            (["W1", "R2", "W3"], ["W1", "R2"], ["R2", "W3"]),
            (["W1", "W2", "R3"], ["W1"], ["W2 R3"]),  # it may read what waits
            (["R1", "W2"], ["R1", "W2"], ["W2"]),
            (["R1", "W2", "W3"], ["R1", "W2"], ["W2"]),  # the answer is that of the read
            (["W1 R2", "R3", "R4 W5"], ["W1 R2", "R3"], ["R3", "R4 W5"]),
            (["W1", "R1"], ["W1"], ["R1"]),
            (["w1", "R1"], ["w1"], ["R1"]),
            (["W1 R2", "R2"], ["W1 R2", "R2"], ["R2"]),
            (["W1 W2", "R3 R2"], ["W1 W2"], ["R3 R2"]),
            (["W1", "R2", "R1", "R2"], ["W1", "R2"], ["R2", "R1 R2"]),
            (["R1", "W2", "R1", "R2"], ["R1", "W2", "R1"], ["W2", "R1"]),  # that of the first read
            (["S9", "R1"], ["S9"], ["R1"]),
            (["D9", "R1"], ["D9"], ["R1"]),
            (["W1 L2", "R2"], ["W1 L2", "R2"], ["R2"]),
            (["M9", "R1"], ["M9"], ["R1"]),
            (["F9", "R1"], ["F9"], ["R1"]),
            (["B9", "R1"], ["B9"], ["R1"]),
            (["X9", "R1"], ["X9"], ["R1"]),
            (["W1 S9", "R2"], ["W1 S9"], ["R2"]),
        ):
            self.setUp()
            for text in submitted:
                self.submit(text)
            self.assertEqual(self.replica.texts(), at_once, f"{submitted}")
            self.replica.answer()
            self.assertEqual(self.replica.texts(), after, f"{submitted}")

    def test_each_gets_its_own_replies(self) -> None:
        for text in ("W1", "W2 R3", "W4"):
            self.submit(text)
        self.replica.answer()
        self.assertEqual([size for _, _, size in self.replica.under_way], [3])
        self.replica.answer()
        self.assertEqual(self.outcomes, [("W1", [b"1"]), ("W2 R3", [b"2", b"3"]), ("W4", [b"4"])])
        self.assertIsNone(self.order.begun)

    def test_not_too_much_together(self) -> None:
        half = " ".join(["W1"] * (COMMANDS_TOGETHER // 2))
        for text in ("W0", half, half, "W2"):
            self.submit(text)
        self.replica.answer()
        self.assertEqual([len(commands) for commands, _, _ in self.replica.under_way], [COMMANDS_TOGETHER])
        self.replica.answer()
        self.assertEqual(self.replica.texts(), ["W2"])

    def test_behind_a_failure_nothing_runs(self) -> None:
        for may_have_run in (True, False):
            self.setUp()
            for text in ("W1", "W2", "R3"):
                self.submit(text)
            failed = Unavailable("CLUSTERDOWN", may_have_run)
            self.replica.answer(outcome=failed)
            self.assertEqual(
                self.outcomes, [("W1", failed), ("W2", BEHIND_A_FAILURE), ("R3", BEHIND_A_FAILURE)]
            )
            self.assertFalse(BEHIND_A_FAILURE.may_have_run)
            self.submit("W4")
            self.assertEqual(self.replica.texts(), ["W4"])

    def test_together_with_other_connections(self) -> None:
        """Somebody else submits, and what comes meanwhile waits."""
        commands = [[b"W", b"1"]]
        self.order.begun = commands
        self.submit("W2")
        self.assertEqual(self.replica.texts(), [])
        self.order.end(commands, [b"1"])
        self.assertEqual(self.replica.texts(), ["W2"])

    def test_the_end_of_a_read_frees_nothing(self) -> None:
        reads = [[b"R", b"1"]]
        self.order.begun = reads
        self.submit("W2")
        self.order.end(reads, [b"1"])
        self.submit("W3")
        self.assertEqual(self.replica.texts(), ["W2"])

    def test_a_broken_caller(self) -> None:
        """What waited goes on, although its caller before has a bug."""
        self.order.submit([[b"W", b"1"]], lambda outcome: 1 // 0, 1)  # type: ignore[arg-type]
        self.submit("W2")
        self.assertRaises(ZeroDivisionError, self.replica.answer)
        self.assertEqual(self.replica.texts(), ["W2"])

    def test_random(self) -> None:
        """At each moment at most one submission with a write is under way, in order; all are answered."""
        for seed in range(300):
            random = Random(seed)
            self.setUp()
            sent: list[str] = []
            run: list[str] = []
            while len(sent) < 30 or self.replica.under_way:
                if len(sent) < 30 and random.random() < 0.6:
                    text = " ".join(
                        f"{random.choice('WWR')}{len(sent)}.{i}" for i in range(random.randrange(1, 4))
                    )
                    sent.append(text)
                    self.submit(text)
                elif self.replica.under_way:
                    writing = [text for text in self.replica.texts() if "W" in text]
                    self.assertLessEqual(len(writing), 1)
                    place = random.randrange(len(self.replica.under_way))
                    run += [word for word in self.replica.texts()[place].split() if word[0] == "W"]
                    self.replica.answer(place)
            self.assertEqual(run, [word for text in sent for word in text.split() if word[0] == "W"])
            self.assertEqual(sorted(text for text, _ in self.outcomes), sorted(sent))
