"""Which pieces are asked for, in which order, and how many at a time."""

from __future__ import annotations

import math
from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.transfer import Piece, PieceAsk, StatePart
from epaxos.transfer.window import WINDOW_MAX, Window

BASE, LOG, EMPTY = StatePart(4, True, 250, 1), StatePart(4, False, 120, 2), StatePart(5, False, 0, 0)


def answer(ask: PieceAsk, size: int | None = None) -> Piece:
    return Piece(ask.generation, ask.is_base, ask.offset, bytes(ask.size if size is None else size))


class WindowTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.window = Window(100)

    def widen(self) -> None:
        """Take much, so that the window is as large as it gets."""
        self.window.begin([StatePart(1, True, 100_000, 0)], {})
        self.drain()

    def drain(self) -> list[tuple[tuple[int, bool], int, int]]:
        """Answer everything: the pieces that were handed over."""
        taken = []
        while asks := self.window.asks(0.0):
            for ask in asks:
                self.window.put(answer(ask))
            while (wanted := self.window.pop()) is not None:
                taken.append((wanted.name, wanted.offset, wanted.size))
        self.assertTrue(self.window.is_done)
        return taken

    def test_file_by_file_from_what_was_taken(self) -> None:
        self.window.begin([BASE, EMPTY, LOG], {(4, True): 130, (9, False): 7})
        self.assertEqual(
            self.drain(),
            [((4, True), 130, 100), ((4, True), 230, 20), ((4, False), 0, 100), ((4, False), 100, 20)],
        )

    def test_nothing_is_missing(self) -> None:
        for parts in ([], [EMPTY], [BASE]):
            self.window.begin(parts, {(4, True): 250})
            self.assertTrue(self.window.is_done)
            self.assertEqual((self.window.asks(0), self.window.oldest), ([], math.inf))

    def test_it_grows_by_one_for_each_window_and_is_bounded(self) -> None:
        self.window.begin([StatePart(1, True, 100_000, 0)], {})
        sizes = []
        while asks := self.window.asks(0.0):
            sizes.append(len(asks))
            for ask in asks:
                self.window.put(answer(ask))
            while self.window.pop() is not None:
                pass
        self.assertEqual(sizes[:4], [1, 2, 2, 3])
        self.assertEqual(max(sizes), WINDOW_MAX)
        self.assertLessEqual(max(after - before for before, after in pairwise(sizes)), 1)

    def test_what_has_come_before_its_turn_counts(self) -> None:
        """A piece that is missing does not make more and more of the following ones come."""
        self.widen()
        self.window.begin([StatePart(2, True, 100_000, 0)], {})
        first, *others = self.window.asks(1.0)
        self.assertEqual(len(others), WINDOW_MAX - 1)
        for ask in others:
            self.window.put(answer(ask))
        self.assertEqual((self.window.asks(2.0), self.window.pop()), ([], None))
        self.assertEqual(self.window.oldest, 1.0)
        self.assertTrue(self.window.lose(2.0, 1.0))
        self.assertEqual(self.window.asks(2.0), [first])
        self.window.put(answer(first))
        handed = [self.window.pop() for _ in range(WINDOW_MAX)]
        self.assertEqual([wanted and wanted.offset for wanted in handed], list(range(0, 1600, 100)))

    def test_half_as_many_after_a_loss(self) -> None:
        self.widen()
        self.window.begin([StatePart(2, True, 100_000, 0)], {})
        asked = self.window.asks(1.0)
        self.assertFalse(self.window.lose(1.9, 1.0))
        for size in (8, 4, 2, 1, 1):
            self.assertTrue(self.window.lose(3.0, 1.0))
            self.assertEqual(self.window.asks(2.0), asked[:size])
        self.assertEqual(self.window.asks(2.0), [])

    def test_what_was_not_asked_for(self) -> None:
        self.window.begin([BASE, LOG], {})
        (ask,) = self.window.asks(0.0)
        piece = answer(ask)
        for wrong in (
            piece._replace(generation=5),
            piece._replace(is_base=False),
            piece._replace(offset=100),
            piece._replace(data=bytes(101)),
        ):
            self.assertFalse(self.window.wants(wrong))
            self.window.put(wrong)
            self.assertIsNone(self.window.pop())
        self.assertTrue(self.window.wants(piece))
        self.window.put(piece)
        self.assertFalse(self.window.wants(piece), "it has come")
        self.assertIsNotNone(self.window.pop())
        self.assertFalse(self.window.wants(piece), "it was handed over")

    def test_less_than_was_asked_for(self) -> None:
        self.window.begin([BASE], {})
        (ask,) = self.window.asks(0.0)
        self.window.put(answer(ask, 30))
        wanted = self.window.pop()
        assert wanted is not None
        self.assertEqual((wanted.offset, wanted.size), (0, 30))
        rest = self.window.asks(0.0)
        self.assertEqual(rest[0], PieceAsk(4, True, 30, 70))

    def test_crumbs_are_bounded(self) -> None:
        """A source that gives a byte at a time, and never the first, cannot make the list long."""
        self.widen()
        self.window.begin([StatePart(2, True, 100_000, 0)], {})
        _, *asks = self.window.asks(0.0)
        for _ in range(100):
            for ask in asks:
                self.window.put(answer(ask, 1))
            asks = self.window.asks(0.0)
            self.assertLessEqual(len(self.window._wanted), 2 * WINDOW_MAX)
