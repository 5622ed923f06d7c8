"""Which commands go to the replica without that each is checked."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError
from epaxos.resp.shapes import OPTIONS_BYTES_MAX, SHAPES_MAX, Shapes
from tests.resp.lab import OneReplica


class Counting(OneReplica):
    """Counts the commands that are checked, and refuses all of them while it `is_full`."""

    def __init__(self) -> None:
        super().__init__()
        self.store.use_clock(_Clock(), lambda: 1)  # type: ignore[arg-type]
        self.checked = 0
        self.is_full = False

    def check(self, command: list[bytes]) -> None:  # type: ignore[override]
        self.checked += 1
        if self.is_full:
            raise CommandError("OOM")
        super().check(command)


class _Clock:
    is_trusted = True
    is_settling = False

    def now_ms(self) -> int:
        return 1_000_000


class OptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.replica = Counting()
        self.shapes = Shapes(self.replica)

    def are_valid(self, *texts: str) -> bool:
        return self.shapes.are_valid([text.encode().split() for text in texts])

    def test_each_is_checked_once(self) -> None:
        for texts, checks in (
            (("SET a 1 EX 10", "SET b 2 EX 10"), 1),
            (("SET c 3 EX 10", "GET a", "SET d 4"), 0),
            (("SET c 3 EX 11", "set c 3 EX 10"), 2),
            (("EXPIRE a 10", "EXPIRE b 10", "GETEX a PERSIST", "TTL a"), 3),
            (("EXPIRE x 10", "TTL y"), 0),
        ):
            self.replica.checked = 0
            self.assertTrue(self.are_valid(*texts), f"{texts}")
            self.assertEqual(self.replica.checked, checks, f"{texts}")

    def test_what_needs_a_closer_look(self) -> None:
        for text in (
            "SET a 1 EX 0", "SET a 1 EX x", "SET a 1 NX XX", "SET a", "EXPIRE a x", "EXPIRE a", "SETEX a 5 v",
            "SET a 1 IFEQ " + "x" * OPTIONS_BYTES_MAX, "SET a 1" + " NX" * 100, "BLPOP a 1",
            "MULTI", "NONE a 1",
        ):  # fmt: skip
            for texts in ((text,), ("SET b 1 EX 10", text), (text, "SET b 1 EX 10")):
                self.assertFalse(self.are_valid(*texts), f"{texts}")

    def test_they_are_forgotten(self) -> None:
        self.assertTrue(self.are_valid("SET a 1 EX 10"))
        self.replica.is_full = True
        self.shapes.forget()
        self.assertFalse(self.are_valid("SET a 1 EX 10"))

    def test_not_too_many_are_remembered(self) -> None:
        for number in range(1, SHAPES_MAX + 100):
            self.assertTrue(self.are_valid(f"SET a 1 PX {number}"))
        self.assertEqual(len(self.shapes._valid_options), SHAPES_MAX)
