"""Pieces of the state: what goes in comes out, and nothing that was not written so does."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from itertools import accumulate
from random import Random
from struct import pack
from zlib import crc32

from twisted.trial.unittest import SynchronousTestCase

from epaxos.storage.pieces import PIECE_BYTES, PIECE_ENTRIES, encode_pieces, frame, read_pieces

Entries = Mapping[bytes, "bytes | None"]


def framed(payloads: list[bytes]) -> tuple[list[bytes], int]:
    """The payloads as a file has them, and the checksum of the last one."""
    pieces, crc = [], 0
    for payload in payloads:
        header, crc = frame(payload, crc)
        pieces.append(header + payload)
    return pieces, crc


def read(file: bytes, length: int, crc: int, before: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
    state = dict(before or {})
    read_pieces(BytesIO(file), length, crc, state)
    return state


class RoundTripTests(SynchronousTestCase):
    def check(self, entries: Entries, before: dict[bytes, bytes] | None = None) -> list[bytes]:
        """The payloads; reading them does to `before` what the entries say."""
        payloads = list(encode_pieces(entries.items()))
        pieces, crc = framed(payloads)
        file = b"".join(pieces)
        expected = {**(before or {}), **entries}
        found = read(file + b"behind it", len(file), crc, before)
        self.assertEqual(found, {key: value for key, value in expected.items() if value is not None})
        return payloads

    def test_nothing(self) -> None:
        self.assertEqual(self.check({}), [])
        self.assertEqual(read(b"anything", 0, 0), {})

    def test_entries(self) -> None:
        for entries in (
            {b"k": b"v"},
            {b"": b""},
            {b"": b"empty key", b"empty value": b""},
            {b"%d" % number: b"v" * (number % 7) for number in range(100)},
        ):
            self.assertEqual(len(self.check(entries)), 1)

    def test_removed(self) -> None:
        """Also keys that never were there; a removed value is not an empty one."""
        before = {b"a": b"1", b"b": b"2", b"": b"3", b"left": b"4"}
        for entries in (
            {b"a": None},
            {b"a": None, b"": None, b"never": None},
            {b"a": b"", b"b": None, b"new": b"5"},
            {b"b": None, b"a": b"later"},
        ):
            self.check(entries, before)

    def test_huge_values(self) -> None:
        """One entry at least, whatever it takes; those around it are as ever."""
        for large in (PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5_000_000):
            huge = Random(large).randbytes(large)
            payloads = self.check({b"a": b"1", b"huge": huge, huge: b"", b"gone": None, b"z": b"2"})
            self.assertLessEqual(len(payloads), 4)
            self.assertLess(max(map(len, payloads)), large + PIECE_BYTES + 100)

    def test_size(self) -> None:
        """Pieces are full, and none is over-full."""
        entries = {b"%09d" % number: bytes(number % 90) for number in range(20_000)}
        sizes = [len(payload) for payload in self.check(entries)]
        self.assertLess(max(sizes), PIECE_BYTES + 8 * PIECE_ENTRIES + 100)
        self.assertLessEqual(len(sizes), 2 * sum(sizes) // PIECE_BYTES + 1)
        self.assertEqual(len(self.check({b"%d" % number: b"" for number in range(5 * PIECE_ENTRIES)})), 5)

    def test_random(self) -> None:
        for seed in range(100):
            random = Random(seed)
            before = {b"%d" % random.randrange(50): random.randbytes(3) for _ in range(30)}
            entries: dict[bytes, bytes | None] = {}
            for _ in range(random.randrange(60)):
                size = random.choice((0, 1, 10, 1000, 30_000))
                value = None if random.random() < 0.2 else random.randbytes(size)
                entries[b"%d" % random.randrange(50)] = value
            self.check(entries, before)


class DamageTests(SynchronousTestCase):
    def setUp(self) -> None:
        entries = {b"key %d" % number: b"v%d" % number * 5 for number in range(60)}
        self.payloads = [
            payload
            for low in range(0, 60, 10)
            for payload in encode_pieces(list(entries.items())[low : low + 10])
        ]
        self.pieces, self.crc = framed(self.payloads)
        self.file = b"".join(self.pieces)
        self.assertEqual(read(self.file, len(self.file), self.crc), entries)

    def refused(self, file: bytes, length: int | None = None, crc: int | None = None) -> None:
        length = len(self.file) if length is None else length
        crc = self.crc if crc is None else crc
        self.assertRaises(ValueError, read, file, length, crc)

    def test_every_bit(self) -> None:
        for position in range(len(self.file)):
            for bit in range(8):
                damaged = bytearray(self.file)
                damaged[position] ^= 1 << bit
                self.refused(bytes(damaged))

    def test_zeroed(self) -> None:
        for start in range(0, len(self.file), 7):
            for size in (4, 8, 100, len(self.file)):
                zeroed = self.file[:start] + bytes(size) + self.file[start + size :]
                self.refused(zeroed[: len(self.file)])

    def test_cut(self) -> None:
        for length in range(len(self.file)):
            self.refused(self.file[:length])

    def test_another_length_or_checksum(self) -> None:
        """Also at the end of another piece: how far the state goes is known."""
        ends = list(accumulate(map(len, self.pieces)))
        for length in range(len(self.file)):
            self.refused(self.file, length=length)
        self.refused(self.file + self.pieces[0], length=len(self.file) + len(self.pieces[0]))
        for end in ends[:-1]:
            self.refused(self.file, length=end)
        for crc in (0, self.crc ^ 1, crc32(b"")):
            self.refused(self.file, crc=crc)

    def test_pieces_in_another_order(self) -> None:
        """Lost, doubled, swapped, of another file: each alone is whole."""
        pieces, length = self.pieces, len(self.pieces[1])
        self.assertEqual({len(piece) for piece in pieces[1:]}, {length})
        for order in (
            [0, 2, 1, 3, 4, 5],
            [0, 1, 1, 3, 4, 5],
            [0, 1, 2, 3, 5, 4],
            [0, 1, 2, 3, 4, 4],
            [0, 2, 2, 3, 4, 5],
        ):
            self.refused(b"".join(map(pieces.__getitem__, order)))
        others, _ = framed([payload.replace(b"v", b"w") for payload in self.payloads])
        for number, other in enumerate(others):
            self.refused(b"".join([*pieces[:number], other, *pieces[number + 1 :]]))

    def test_whole_and_impossible(self) -> None:
        """The checksum is right, and nobody wrote this."""
        for payload in (
            b"",
            b"abc",
            pack("<I", 0),
            pack("<I", 1),
            pack("<3I", 1, 1, 1) + b"k",
            pack("<3I", 1, 1, 1) + b"kvv",
            pack("<3I", 1, 2**32 - 1, 0) + b"k",
            pack("<3I", 1, 1, 2**32 - 2) + b"k",
            pack("<3I", 2**32 - 1, 1, 1) + b"kv",
            pack("<3I", 2, 1, 1) + b"kv",
        ):
            (piece,), crc = framed([payload])
            self.refused(piece, len(piece), crc)
        (piece,), crc = framed([pack("<3I", 1, 1, 2**32 - 1) + b"k"])
        self.assertEqual(read(piece, len(piece), crc, {b"k": b"v"}), {})
