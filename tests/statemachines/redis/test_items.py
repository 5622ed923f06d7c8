"""The two forms of a list: each as a plain list, and the same after a transfer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from random import Random
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis import blocks as blocks_module
from epaxos.statemachines.redis import items as items_module
from epaxos.statemachines.redis import packed_list
from epaxos.statemachines.redis import pieces as pieces_module
from epaxos.statemachines.redis.discards import free_part
from epaxos.statemachines.redis.items import Items
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_fields import NASTY


def form(items: Items) -> str:
    """Which form it has."""
    return type(items._held).__name__


def in_order(items: Items) -> list[bytes]:
    return list(chain.from_iterable(items.flat()))


def decoded(items: Items) -> Items:
    return Items.decode(list(items.encode()))


def filled(count: int, length: int = 8) -> Items:
    items = Items()
    for number in range(count):
        items.push_right(b"%0*d" % (length, number))
    return items


def removed(items: Items, element: bytes, most: int, from_end: bool) -> int:
    steps = items.remove(element, most, from_end)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            count: int = stop.value
            return count


class PackedTests(SynchronousTestCase):
    def test_elements_that_look_like_separators(self) -> None:
        for first in NASTY:
            for second in NASTY:
                items, plain = Items(), [second, first, first + second, b""]
                for element in plain:
                    items.push_right(element)
                items.push_left(first)
                self.assertEqual(in_order(items), [first, *plain])
                self.assertEqual(form(items), "bytes")
                found = [items.pop_left(), items.pop_right(), items.pop_right(), items.pop_left()]
                self.assertEqual(found, [first, b"", first + second, second])
                self.assertEqual(
                    [items.pop_right(), items.pop_right(), items.pop_left()], [first, None, None]
                )

    def test_what_is_no_packed_list(self) -> None:
        good = packed_list.pack([b"a", b"", b"b\xff"])
        packed_list.check(good)
        for bad in (
            *(b"", b"a", good + b"\xff", good[1:], b"x" + good, b"\xfea\xfd", b"\xfea\xfd\x03"),
            *(packed_list.pack([b"n" * 65]), packed_list.pack([b""] * 129)),
        ):
            with self.assertRaises(ValueError, msg=repr(bad)):
                packed_list.check(bad)


class FormTests(SynchronousTestCase):
    def test_limits(self) -> None:
        changes: dict[str, Callable[[Items, bytes], Any]] = {
            "push_left": Items.push_left,
            "push_right": Items.push_right,
            "set": lambda items, element: items.set(2, element),
            "insert": lambda items, element: items.insert(2, element),
        }
        for name, change in changes.items():
            for element, expected in ((b"v" * 64, "bytes"), (b"v" * 65, "Blocks"), (b"\xfe" * 64, "bytes")):
                items = filled(5)
                change(items, element)
                self.assertEqual(form(items), expected, name)
                removed(items, element, 1, False)
                self.assertEqual(form(items), expected, "it never changes back")
            items = filled(128)
            self.assertEqual(form(items), "bytes")
            change(items, b"1")
            self.assertEqual(form(items), "bytes" if name == "set" else "Blocks", name)

    def test_history_alone_decides(self) -> None:
        """How the elements lie in blocks is not seen in the encoding: that of a list that went another way to
        the same elements, and of one that was transferred on the way, is the same."""
        for seed in range(20):
            random = Random(seed)
            items = filled(3000)
            other = decoded(items)
            for _ in range(50):
                index = random.randrange(len(items))
                for each in (items, other):
                    if seed % 2:
                        each.insert(index, b"new")
                    else:
                        removed(each, b"%08d" % index, 1, False)
            self.assertEqual(list(items.encode()), list(other.encode()))
            self.assertEqual(list(items.flat()), list(other.flat()))


class FuzzTests(SynchronousTestCase):
    """Random histories against a plain list, with small limits so that both forms and all changes occur."""

    def setUp(self) -> None:
        for module, name, value in (
            (items_module, "ELEMENTS_MAX", 6),
            (packed_list, "ELEMENTS_MAX", 6),
            (blocks_module, "BLOCK_ELEMENTS", 4),
            (items_module, "PIECE_ELEMENTS", 5),
            (pieces_module, "PIECE_BYTES", 60),
        ):
            patched = mock.patch.object(module, name, value)
            patched.start()
            self.addCleanup(patched.stop)

    def test_as_a_list(self) -> None:
        forms: dict[str, int] = {}
        for seed in range(400):
            random = Random(seed)
            items, plain = Items(), list[bytes]()
            copies: list[tuple[Items, list[bytes]]] = []
            universe = [random.choice(NASTY) + b"%d" % number for number in range(random.choice((2, 8)))]
            universe += random.choice(([], [b"long" * 20]))
            grows = random.choice((0.2, 0.5, 0.8))
            for _ in range(random.choice((10, 60, 150))):
                element = random.choice(universe)
                if random.random() < grows:
                    self.grow(random, items, plain, element)
                elif random.random() < 0.8:
                    self.change(random, items, plain, element)
                elif random.random() < 0.6:
                    copies.append((items, plain.copy()))
                    items = items.copy()
                elif plain:
                    again = decoded(items)
                    self.assertEqual(list(again.encode()), list(items.encode()))
                    self.assertEqual(form(again), form(items))
                    items = again
                self.check(random, items, plain, f"seed {seed}")
                forms[form(items)] = forms.get(form(items), 0) + 1
            for copied, expected in copies:
                self.assertEqual(in_order(copied), expected, f"seed {seed}: a copy has changed")
        self.assertGreater(min(forms.values()), 1000, forms)

    def grow(self, random: Random, items: Items, plain: list[bytes], element: bytes) -> None:
        place = random.choice((0, len(plain), random.randrange(len(plain) + 1)))
        plain.insert(place, element)
        if place == 0 and random.random() < 0.8:
            self.assertEqual(items.push_left(element), len(plain))
        elif place == len(plain) - 1 and random.random() < 0.8:
            self.assertEqual(items.push_right(element), len(plain))
        else:
            items.insert(place, element)

    def change(self, random: Random, items: Items, plain: list[bytes], element: bytes) -> None:
        kind = random.randrange(6)
        if kind == 0:
            self.assertEqual(items.pop_left(), plain.pop(0) if plain else None)
        elif kind == 1:
            self.assertEqual(items.pop_right(), plain.pop() if plain else None)
        elif kind == 2 and plain:
            place = random.randrange(len(plain))
            plain[place] = element
            items.set(place, element)
        elif kind == 3 and random.random() < 0.3:
            start, end = sorted(random.randrange(len(plain) + 1) for _ in range(2))
            plain[:] = plain[start:end]
            items.keep_slice(start, end)
        elif kind == 4:
            most, from_end = random.choice((1, 1, 2, 100)), random.random() < 0.5
            places = [place for place, each in enumerate(plain) if each == element]
            places = places[-most:] if from_end else places[:most]
            for place in reversed(places):
                del plain[place]
            self.assertEqual(removed(items, element, most, from_end), len(places))

    def check(self, random: Random, items: Items, plain: list[bytes], message: str) -> None:
        self.assertEqual(len(items), len(plain), message)
        self.assertEqual(in_order(items), plain, message)
        for place in range(-len(plain) - 2, len(plain) + 2):
            expected = plain[place] if -len(plain) <= place < len(plain) else None
            self.assertEqual(items.get(place), expected, message)
        start, end = sorted(random.randrange(len(plain) + 1) for _ in range(2))
        self.assertEqual(list(chain.from_iterable(items.slices(start, end))), plain[start:end], message)
        element, within = random.choice(plain or [b""]), random.randrange(len(plain) + 2)
        for from_end in (False, True):
            places = [place for place, each in enumerate(plain) if each == element]
            if within:
                places = [
                    place for place in places if (len(plain) - 1 - place if from_end else place) < within
                ]
            found = list(chain.from_iterable(items.matches(element, from_end, within)))
            self.assertEqual(found, places[::-1] if from_end else places, message)

    def test_damaged_encodings(self) -> None:
        """Bytes that no list is encoded in are refused by a ValueError, or are another list."""
        for count in (3, 10, 40):
            pieces = list(filled(count).encode())
            random = Random(count)
            refused = 0
            for _ in range(400):
                bad = pieces.copy()
                number = random.randrange(len(bad))
                piece = bytearray(bad[number])
                kind = random.randrange(5)
                if kind == 0:
                    piece[random.randrange(len(piece))] ^= 1 << random.randrange(8)
                elif kind == 1:
                    del piece[random.randrange(len(piece)) :]
                elif kind == 2:
                    piece += piece[-3:]
                elif kind == 3:
                    del bad[number]
                else:
                    bad.append(bytes(piece))
                if kind < 3:
                    bad[number] = bytes(piece)
                try:
                    self.assertGreater(len(Items.decode(bad)), 0)
                except ValueError:
                    refused += 1
            self.assertGreater(refused, 150)
        for bad in ([], [b""], [b"x"], [b"p"], [b"b" + bytes(8)], [b"s" + bytes(30)]):
            self.assertRaises(ValueError, Items.decode, bad)


class LargeTests(SynchronousTestCase):
    """No step of a list of 1,000,000 elements takes long."""

    def test_steps(self) -> None:
        items = Items()
        step = Steps(self)
        for number in range(1_000_000):
            items.push_right(b"%d" % number)
        self.assertLess(step.fastest(items.copy), 0.001)
        copied = step("copy", items.copy)
        for number in range(0, 1_000_000, 1000):
            step("set", lambda: copied.set(number, b"new"))  # noqa: B023
        step("copy", copied.copy)
        self.assertEqual((items.get(500_000), copied.get(500_000)), (b"500000", b"new"))
        for change in (copied.pop_left, copied.pop_right):
            step("pop", change)
        for place in (0, 300_000, 999_000):
            step("insert", lambda: copied.insert(place, b"more"))  # noqa: B023
        encoding = items.encode()
        pieces = []
        while piece := step("encode", lambda: next(encoding, None)):
            pieces.append(piece)
        self.assertGreater(len(pieces), 900)
        step.all_of("matches", items.matches(b"none"))
        steps = copied.remove(b"none", 5, True)
        while step("remove", lambda: next(steps, items)) is not items:
            pass
        step("keep", lambda: copied.keep_slice(200_000, 200_100))
        step("del", lambda: Items.__init__(items))
        while step("free", free_part):
            pass
        step.check()
        self.assertEqual(in_order(Items.decode(pieces))[::1000], [b"%d" % n for n in range(0, 10**6, 1000)])
