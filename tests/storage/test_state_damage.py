"""Damage to the files of the state is found."""

from __future__ import annotations

import os
from shutil import rmtree

from tests.storage.loop import (
    IDENTITY,
    checkpoint,
    proposal,
)
from tests.storage.small import make_small
from tests.storage.test_damage import DamageCase, flip, shorten, zero

GIVEN_UP = ["1.base", "1.log", "2.base", "2.log"]
ATTEMPTS = 20


class DamageTests(DamageCase):
    """Of what is referred to nothing may be missing or changed."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)

    def fill(self) -> None:
        """A base, its log, and that of a generation whose base was given up."""
        for _ in range(ATTEMPTS):
            self.model = {b"%04d" % key: bytes(20) for key in range(300)}
            self.write_until_given_up()
            if self.names() == GIVEN_UP:
                return
            rmtree(self.path)  # the thread finished the second base after all, before the store was closed
        self.fail(f"the second base was never given up: {self.names()}")

    def write_until_given_up(self) -> None:
        """Write until there is a second base, which is not whole, and close the store."""
        store = self.make()
        store.open(IDENTITY)
        self.write_by(store, checkpoint(1, dict(self.model)))
        for number in range(2, 60):
            if self.names() == GIVEN_UP:
                break
            state = self.model if store.wants_state else None
            self.write_by(store, checkpoint(number, dict(list(self.model.items())[:150]), state=state))
        self.close_store(store)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.path.glob("state/*"))

    def test_refused(self) -> None:
        state = lambda name: self.path / "state" / name  # noqa: E731

        def swap(one: str, other: str) -> None:
            data = state(one).read_bytes()
            state(one).write_bytes(state(other).read_bytes())
            state(other).write_bytes(data)

        changed = "is damaged: the piece at byte [0-9]+ is not what was written there"
        self.table(
            {
                "base gone": (lambda: state("1.base").unlink(), "1.base is damaged: it is missing"),
                "log gone": (lambda: state("1.log").unlink(), "1.log is damaged: it is missing"),
                "newest log gone": (lambda: state("2.log").unlink(), "2.log is damaged: it is m"),
                "folder gone": (lambda: rmtree(state("")), "1.base is damaged: it is missing"),
                "base shorter": (lambda: shorten(state("1.base"), 1), "1.base is damaged: it has [0-9]+ of"),
                "log shorter": (lambda: shorten(state("1.log"), 1), "1.log is damaged: it has"),
                "newest shorter": (lambda: shorten(state("2.log"), 9), "2.log is damaged: it has"),
                "empty": (lambda: os.truncate(state("1.base"), 0), "1.base is damaged: it has 0 of"),
                "a bit": (lambda: flip(state("1.base"), 5000), f"1.base {changed}"),
                "last byte": (lambda: flip(state("1.log"), -1), f"1.log {changed}"),
                "first byte": (lambda: flip(state("2.log"), 0), f"2.log {changed}"),
                "zeroed": (lambda: zero(state("1.base"), 1000, 512), f"1.base {changed}"),
                "zeroed end": (lambda: zero(state("1.log"), -600, 600), f"1.log {changed}"),
                "swapped": (lambda: swap("1.log", "2.log"), "[12].log is damaged"),
                "base and log": (lambda: swap("1.base", "1.log"), "1.base is damaged"),
                "a folder": (
                    lambda: (state("1.base").unlink(), state("1.base").mkdir()),
                    "1.base cannot be read: Is a directory",
                ),
            },
            self.fill,
        )

    def test_not_referred_to(self) -> None:
        """Damage to the base that was given up, and behind what counts, is none; the file is removed."""
        self.fill()
        self.assertEqual(self.names(), GIVEN_UP)
        flip(self.path / "state" / "2.base", 10, 20)
        for name in ("1.base", "1.log", "2.log"):
            with (self.path / "state" / name).open("ab") as file:
                file.write(bytes(100))
        self.assertEqual(self.restored()["state"], self.model)
        self.assertEqual(self.names(), GIVEN_UP, "nothing was written yet")
        self.write(proposal(1))
        self.assertEqual(self.names(), ["1.base", "1.log", "2.log"])

    def test_refused_is_left_as_it_was(self) -> None:
        """What an operator may still want to look at."""
        self.fill()
        names = self.names()
        for name in ("1.log", "1.base"):
            flip(self.path / "state" / name, 100)
            self.refused(f"{name} is damaged")
            self.assertEqual(self.names(), names)

    def test_no_folder_yet(self) -> None:
        """A store that died before it wrote a state."""
        self.write(proposal(1))
        rmtree(self.path / "state")
        self.assertEqual(len(self.restored()["records"]), 1)
