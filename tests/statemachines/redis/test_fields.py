"""The three forms of a hash: each as a plain dict, and the same after a transfer."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import accumulate, chain
from random import Random
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis import named as named_module
from epaxos.statemachines.redis import packed
from epaxos.statemachines.redis import pieces as pieces_module
from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.named import LISTED_MAX, SCANNED_MAX
from epaxos.statemachines.redis.parted import PARTS, Parted
from tests.statemachines.redis.steps import Steps

Plain = dict[bytes, bytes]

NASTY = (
    b"", b"\xfd", b"\xfe", b"\xff", b"\xfd\x00", b"\xfd\x01", b"\xfe\xff", b"\xff\xfe", b"\xfe\xfe", b"\0",
    b"\x02", b"\xfd\xfd\x02", b"a", b"ab", b"a\xffb", b"\xfea\xff", b"\xc3\xa4",
)  # fmt: skip


def form(fields: Fields) -> str:
    """Which form it has."""
    return type(fields._held).__name__


def in_order(fields: Fields) -> list[bytes]:
    return list(chain.from_iterable(fields.flat()))


def flat_of(plain: Plain) -> list[bytes]:
    return list(chain.from_iterable(plain.items()))


def decoded(fields: Fields) -> Fields:
    return Fields.decode(list(fields.encode()))


def filled(count: int, length: int = 8) -> Fields:
    fields = Fields()
    names = [b"field:%d" % number for number in range(count)]
    fields.set_all(names, [b"v" * length] * count)
    return fields


class PackedTests(SynchronousTestCase):
    def test_names_that_look_like_separators(self) -> None:
        """No name is found inside of others, and no value is cut, whatever bytes they have."""
        for first in NASTY:
            for second in NASTY:
                fields = Fields()
                plain: Plain = {}
                for name, value in ((first, second), (second, first), (first + second, second + first)):
                    self.assertEqual(fields.set(name, value), name not in plain)
                    plain[name] = value
                self.assertEqual(in_order(fields), flat_of(plain))
                self.assertEqual(fields.get_all(NASTY), list(map(plain.get, NASTY)))
                self.assertEqual([fields.get(name) for name in NASTY], list(map(plain.get, NASTY)))
                self.assertEqual(form(fields), "bytes")
                for name in NASTY:
                    self.assertEqual(fields.remove(name), plain.pop(name, None) is not None)
                    self.assertEqual(in_order(fields), flat_of(plain))

    def test_what_is_no_packed_hash(self) -> None:
        good = packed.pack({b"a": b"1", b"b\xff": b"2"})
        packed.check(good)
        for bad in (
            *(b"", b"a", good + b"\xfe", good + b"\xff", good[1:], b"x" + good, b"\xfea\xff1\xfea\xff2"),
            *(b"\xfea\xff\xfd", b"\xfe%b\xff" % (b"n" * 65), b"\xfea\xff" + b"v" * 65),
            packed.pack({b"%d" % number: b"" for number in range(packed.FIELDS_MAX + 1)}),
        ):
            with self.assertRaises(ValueError, msg=repr(bad)):
                packed.check(bad)


class FormTests(SynchronousTestCase):
    def test_limits(self) -> None:
        for name, value, expected in (
            (b"n" * 64, b"v" * 64, "bytes"),
            (b"n" * 65, b"v", "dict"),
            (b"n", b"v" * 65, "dict"),
            (b"\xfd" * 64, b"\xfe" * 64, "bytes"),
        ):
            for one_by_one in (True, False):
                fields = filled(5)
                if one_by_one:
                    fields.set(name, value)
                else:
                    fields.set_all([b"1", name, b"2"], [b"1", value, b"2"])
                self.assertEqual(form(fields), expected, (name, value, one_by_one))
                fields.remove(name)
                self.assertEqual(form(fields), expected, "it never changes back")
        for count, expected in (
            (128, "bytes"),
            (129, "dict"),
            (LISTED_MAX, "dict"),
            (LISTED_MAX + 1, "Parted"),
        ):
            fields = filled(count)
            self.assertEqual((len(fields), form(fields)), (count, expected))

    def test_history_alone_decides(self) -> None:
        """Many fields at once lead to the same as one after the other, in every form."""
        for seed in range(60):
            random = Random(seed)
            start = random.choice((0, 3, 126, LISTED_MAX - 3))
            names = [b"field:%d" % random.randrange(start + 8) for _ in range(6)]
            values = [b"v" * random.choice((1, 1, 1, 64, 65)) for _ in names]
            together, one_by_one = filled(start), filled(start)
            new = together.set_all(names, values)
            self.assertEqual(new, sum(map(one_by_one.set, names, values)))
            self.assertEqual(form(together), form(one_by_one))
            self.assertEqual(in_order(together), in_order(one_by_one))

    def test_parts_in_the_order_of_any_process(self) -> None:
        """A hash of the field that depends on the process would give each replica an order of its own."""
        text = (
            "from epaxos.statemachines.redis.fields import Fields\n"
            "from epaxos.statemachines.redis.named import LISTED_MAX\n"
            "names = [b'field:%d' % number for number in range(LISTED_MAX + 1)]\n"
            "fields = Fields(); fields.set_all(names, names)\n"
            "import zlib; print(zlib.crc32(b'\\0'.join(fields.encode())))"
        )
        printed = {
            subprocess.run(
                [sys.executable, "-c", text],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        self.assertEqual(len(printed), 1)

    def test_parts_are_even(self) -> None:
        for text in (b"%d", b"user:%08d:name", b"%x"):
            sizes = list(map(len, Parted((text % number, b"") for number in range(100 * PARTS)).parts()))
            self.assertLess(max(sizes), 200)


class FuzzTests(SynchronousTestCase):
    """Random histories against a plain dict, with small limits so that all forms and changes occur."""

    def setUp(self) -> None:
        for module, name, value in (
            (packed, "FIELDS_MAX", 6),
            (named_module, "LISTED_MAX", 20),
            (named_module, "PIECE_NAMES", 5),
            (pieces_module, "PIECE_BYTES", 120),
        ):
            patched = mock.patch.object(module, name, value)
            patched.start()
            self.addCleanup(patched.stop)

    def test_as_a_dict(self) -> None:
        forms = set()
        for seed in range(300):
            random = Random(seed)
            fields, plain = Fields(), dict[bytes, bytes]()
            universe = [
                random.choice(NASTY) + b"%d" % number for number in range(random.choice((4, 8, 30, 90)))
            ]
            lengths = random.choice(((1,), (1, 64), (0, 3, 70)))
            copies: list[tuple[Fields, list[bytes]]] = []
            for _ in range(random.choice((10, 60, 150))):
                kind = random.random()
                if kind < 0.5:
                    name, value = random.choice(universe), random.choice(NASTY)[:1] * random.choice(lengths)
                    self.assertEqual(fields.set(name, value), name not in plain, f"seed {seed}")
                    plain[name] = value
                elif kind < 0.6:
                    names = random.choices(universe, k=random.randrange(1, 9))
                    size = len(plain)
                    plain.update(dict.fromkeys(names, b"many"))
                    new = fields.set_all(names, [b"many"] * len(names))
                    self.assertEqual(new, len(plain) - size, f"seed {seed}")
                elif kind < 0.8:
                    name = random.choice(universe)
                    self.assertEqual(fields.remove(name), plain.pop(name, None) is not None, f"seed {seed}")
                elif kind < 0.9:
                    copies.append((fields, in_order(fields)))
                    fields = fields.copy()
                elif plain:
                    again = decoded(fields)
                    self.assertEqual(list(again.encode()), list(fields.encode()))
                    self.assertEqual(form(again), form(fields))
                    fields = again
                self.check(fields, plain, universe, f"seed {seed}")
                forms.add(form(fields))
            for copied, expected in copies:
                self.assertEqual(in_order(copied), expected, f"seed {seed}: a copy has changed")
        self.assertEqual(forms, {"bytes", "dict", "Parted"})

    def check(self, fields: Fields, plain: Plain, universe: list[bytes], message: str) -> None:
        self.assertEqual(len(fields), len(plain), message)
        items = in_order(fields)
        if form(fields) == "Parted":
            self.assertEqual(dict(zip(items[::2], items[1::2])), plain, message)
        else:
            self.assertEqual(items, flat_of(plain), message)
        self.assertEqual(fields.get_all(universe), list(map(plain.get, universe)), message)
        self.assertEqual(list(map(fields.get, universe)), list(map(plain.get, universe)), message)
        ends = fields.ends()
        parts = list(map(fields.names_of, range(len(ends))))
        self.assertEqual(list(chain.from_iterable(parts)), items[::2], message)
        self.assertEqual(list(map(fields.name_at, range(len(plain)))), items[::2], message)
        self.assertEqual(ends, list(accumulate(map(len, parts))), message)

    def test_both_sides_of_a_copy_may_change(self) -> None:
        for count in (3, 10, 40):
            one = filled(count)
            other = one.copy()
            one.set(b"field:1", b"one")
            other.set(b"field:1", b"other")
            other.remove(b"field:2")
            third = one.copy()
            one.set(b"new", b"one")
            self.assertEqual([one.get(b"field:1"), other.get(b"field:1")], [b"one", b"other"])
            self.assertEqual([len(one), len(other), len(third)], [count + 1, count - 1, count])
            self.assertEqual([one.get(b"field:2"), third.get(b"new")], [b"v" * 8, None])

    def test_damaged_encodings(self) -> None:
        """Bytes that no hash is encoded in are refused by a ValueError, or are another hash."""
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
                    self.assertGreater(len(Fields.decode(bad)), 0)
                except ValueError:
                    refused += 1
            self.assertGreater(refused, 200)
        for bad in ([], [b""], [b"x"], [b"p"], [b"l" + bytes(8)], [b"s" + bytes(30)]):
            self.assertRaises(ValueError, Fields.decode, bad)


class ScanTests(SynchronousTestCase):
    def test_what_stays_is_found(self) -> None:
        """Whatever happens between two calls, also a change of the form, or another replica that goes on."""
        calls = 0
        for seed in range(40):
            random = Random(seed)
            count = random.choice((5, 100, 500, LISTED_MAX - 5, 6000))
            fields = filled(count)
            stay = {b"field:%d" % number for number in random.sample(range(count), count // 2)}
            found: set[bytes] = set()
            cursor = 0
            size = random.choice((7, 50, 5000)) if count < 1000 else random.choice((300, 5000))
            while True:
                cursor, names = fields.scan(cursor, size)
                found.update(names)
                self.assertNotIn(None, fields.get_all(names))
                self.assertLessEqual(len(names), max(min(size, SCANNED_MAX), packed.FIELDS_MAX))
                calls += 1
                if not cursor:
                    break
                for _ in range(20):
                    name = b"field:%d" % random.randrange(2 * count)
                    if name in stay or random.random() < 0.5:
                        fields.set(name, b"w" * random.choice((1, 65)))
                    else:
                        fields.remove(name)
                if random.random() < 0.3:
                    fields = decoded(fields)
            self.assertLessEqual(stay, found, f"seed {seed}")
        self.assertGreater(calls, 100)

    def test_every_field_once(self) -> None:
        for count in (100, 1000, 10_000):
            fields = filled(count)
            cursor, found = fields.scan(0, 17)
            while cursor:
                cursor, names = fields.scan(cursor, 170)
                found += names
            self.assertEqual(sorted(found), sorted(in_order(fields)[::2]))

    def test_same_hashes_stay_together(self) -> None:
        with mock.patch.object(named_module, "crc32", lambda name: 5 if name < b"field:2" else 2**32 - 1):
            fields = filled(200)
            cursor, first = fields.scan(0, 1)
            last, second = fields.scan(cursor, 1)
        self.assertEqual((cursor, last), (6, 0))
        self.assertEqual(sorted(first + second), sorted(in_order(fields)[::2]))


class LargeTests(SynchronousTestCase):
    """No step of a hash of 300,000 fields takes long."""

    def test_steps(self) -> None:
        fields = Fields()
        step = Steps(self)
        names = [b"field:%d" % number for number in range(300_000)]
        for start in range(0, len(names), 512):
            some = names[start : start + 512]
            step("set_all", lambda: fields.set_all(some, some))  # noqa: B023
        copied = step("copy", fields.copy)
        for number in range(0, 300_000, 1000):
            step("set", lambda: copied.set(b"field:%d" % number, b"new"))  # noqa: B023
        self.assertEqual(fields.get(b"field:1000"), b"field:1000")
        encoding = fields.encode()
        pieces = []
        while piece := step("encode", lambda: next(encoding, None)):
            pieces.append(piece)
        self.assertGreater(len(pieces), PARTS - 1)
        cursor, _ = step("scan", lambda: fields.scan(0, 10))
        step("scan", lambda: fields.scan(cursor, 10**9))
        step("names_of", lambda: fields.names_of(128))
        step.check()
        self.assertEqual(in_order(Fields.decode(pieces)), in_order(fields))
