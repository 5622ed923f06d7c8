"""Pieces of the state: what goes in comes out, and nothing that was not written so does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import accumulate
from random import Random
from struct import pack
from zlib import crc32

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import NUMBER_LIMIT, InstanceId
from epaxos.protocol.values.messages import NOP, Batch
from epaxos.storage.state.pieces import (
    PIECE_BATCHES,
    PIECE_BYTES,
    PIECE_ENTRIES,
    decode_batches,
    decode_entries,
    encode_batches,
    encode_entries,
    frame,
    read_pieces,
)
from tests.storage.loop import CLEARING, Executed, batch


def framed(payloads: list[bytes]) -> tuple[list[bytes], int]:
    """The payloads as a file has them, and the checksum of the last one."""
    pieces, crc = [], 0
    for payload in payloads:
        header, crc = frame(payload, crc)
        pieces.append(header + payload)
    return pieces, crc


def read(file: bytes, length: int, crc: int) -> list[bytes]:
    return list(read_pieces(BytesIO(file), length, crc))


class EntriesTests(SynchronousTestCase):
    def check(self, entries: Mapping[bytes, bytes]) -> list[bytes]:
        """The payloads, which hold the entries in their order."""
        payloads = list(encode_entries(entries.items()))
        found = [entry for payload in payloads for entry in decode_entries(payload)]
        self.assertEqual(found, list(entries.items()))
        return payloads

    def test_nothing(self) -> None:
        self.assertEqual(self.check({}), [])

    def test_entries(self) -> None:
        for entries in (
            {b"k": b"v"},
            {b"": b""},
            {b"": b"empty key", b"empty value": b""},
            {b"%d" % number: b"v" * (number % 7) for number in range(100)},
        ):
            self.assertEqual(len(self.check(entries)), 1)

    def test_huge_values(self) -> None:
        """One entry at least, whatever it takes; those around it are as ever."""
        for large in (PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5_000_000):
            huge = Random(large).randbytes(large)
            payloads = self.check({b"a": b"1", b"huge": huge, huge: b"", b"y": b"", b"z": b"2"})
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
            self.check(
                {
                    b"%d" % random.randrange(50): random.randbytes(random.choice((0, 1, 10, 1000, 30_000)))
                    for _ in range(random.randrange(60))
                }
            )

    def test_impossible(self) -> None:
        """Nobody wrote this."""
        for payload in (
            b"",
            b"abc",
            pack("<I", 0),
            pack("<I", 1),
            pack("<3I", 1, 1, 1) + b"k",
            pack("<3I", 1, 1, 1) + b"kvv",
            pack("<3I", 1, 1, 2**32 - 1) + b"k",
            pack("<3I", 1, 2**32 - 1, 0) + b"k",
            pack("<3I", 1, 1, 2**32 - 2) + b"k",
            pack("<3I", 2**32 - 1, 1, 1) + b"kv",
            pack("<3I", 2, 1, 1) + b"kv",
        ):
            self.assertRaises(ValueError, decode_entries, payload)

    def test_cut_or_longer(self) -> None:
        (payload,) = encode_entries([(b"a", b"1"), (b"", b""), (b"key", b"xyz")])
        for length in range(len(payload)):
            self.assertRaises(ValueError, decode_entries, payload[:length])
        self.assertRaises(ValueError, decode_entries, payload + b"x")


class BatchesTests(SynchronousTestCase):
    def check(self, batches: list[Executed]) -> list[bytes]:
        """The payloads, which hold the batches in their order."""
        payloads = list(encode_batches(iter(batches)))
        self.assertEqual([executed for payload in payloads for executed in decode_batches(payload)], batches)
        return payloads

    def test_nothing(self) -> None:
        self.assertEqual(self.check([]), [])

    def test_batches(self) -> None:
        first, last = InstanceId(0, 1), InstanceId(2**16 - 1, 2**63 - 1)
        for batches in (
            [(first, batch(1))],
            [(last, batch(2)), (first, CLEARING), (first, batch(2))],
            [(first, Batch((b"", b"\xff"), (b"r",), b"", 2**31 - 1, True))],
            [(first, NOP), (last, NOP)],
        ):
            self.assertEqual(len(self.check(batches)), 1)

    def test_huge_batches(self) -> None:
        """One batch at least, whatever it takes; those around it are as ever."""
        for large in (PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5_000_000):
            sizes = (10, 10, large, 10, large, large, 10)
            batches = [(InstanceId(1, slot), batch(slot, size)) for slot, size in enumerate(sizes, 1)]
            payloads = self.check(batches)
            self.assertLessEqual(len(payloads), 4)
            self.assertLess(max(map(len, payloads)), large + PIECE_BYTES)

    def test_size(self) -> None:
        """Pieces are full, and none is over-full; no more of the batches is asked for than that."""
        asked: list[int] = []

        def batches() -> Iterator[Executed]:
            for slot in range(1, 2000):
                asked.append(slot)
                yield InstanceId(1, slot), batch(slot, 150 + slot % 900)

        payloads = encode_batches(batches())
        sizes = [len(next(payloads))]
        self.assertLessEqual(len(asked), PIECE_BATCHES)
        sizes += map(len, payloads)
        self.assertEqual(len(asked), 1999)
        self.assertGreaterEqual(min(sizes[1:-1]), PIECE_BYTES)
        self.assertLess(max(sizes), PIECE_BYTES + 1200)

    def test_number(self) -> None:
        """Small batches take time, too."""
        batches = [(InstanceId(1, slot), batch(slot, 0)) for slot in range(1, 2 * PIECE_BATCHES + 2)]
        payloads = self.check(batches)
        self.assertEqual(
            [len(list(decode_batches(payload))) for payload in payloads], [PIECE_BATCHES, PIECE_BATCHES, 1]
        )

    def test_random(self) -> None:
        for seed in range(100):
            random = Random(seed)
            self.check(
                [
                    (
                        InstanceId(random.randrange(7), random.randrange(1, 2**40)),
                        batch(random.randrange(100), random.choice((0, 1, 10, 1000, 30_000))),
                    )
                    for _ in range(random.randrange(60))
                ]
            )

    def test_cut(self) -> None:
        """Where a batch ends it is the batches up to there; everywhere else it is refused, as nothing is."""
        batches = [(InstanceId(slot % 3, slot), batch(slot, slot * 7)) for slot in range(1, 6)]
        (payload,) = encode_batches(batches)
        ends = [len(next(encode_batches(batches[:count]), b"")) for count in range(len(batches) + 1)]
        for length in range(len(payload) + 1):
            if length and length in ends:
                self.assertEqual(list(decode_batches(payload[:length])), batches[: ends.index(length)])
            else:
                self.assertRaises(ValueError, list, decode_batches(payload[:length]))

    def test_impossible(self) -> None:
        """Nobody wrote this, whatever stands before it."""
        (good,) = encode_batches([(InstanceId(1, 1), batch(1))])
        for payload in (
            b"x",
            pack("<HQ", 1, 1),
            *(pack("<HQI", 1, slot, 0) for slot in (0, NUMBER_LIMIT)),
            pack("<HQI", 1, 1, 1),
            pack("<HQI", 1, 1, 2**32 - 1) + bytes(100),
            pack("<HQI", 1, 1, 3) + b"\xff\xff\xff",
            pack("<HQI", 1, 1, 3) + b"\x0a\x01k",  # it names a key, and has no commands
        ):
            self.assertRaises(ValueError, list, decode_batches(payload))
            self.assertRaises(ValueError, list, decode_batches(good + payload))


class DamageTests(SynchronousTestCase):
    def setUp(self) -> None:
        entries = {b"key %d" % number: b"v%d" % number * 5 for number in range(60)}
        self.payloads = [
            payload
            for low in range(0, 60, 10)
            for payload in encode_entries(list(entries.items())[low : low + 10])
        ]
        self.pieces, self.crc = framed(self.payloads)
        self.file = b"".join(self.pieces)

    def test_read(self) -> None:
        """To the length that counts, whatever lies behind it."""
        self.assertEqual(read(self.file, len(self.file), self.crc), self.payloads)
        self.assertEqual(read(self.file + b"behind it", len(self.file), self.crc), self.payloads)
        self.assertEqual(read(b"anything", 0, 0), [])

    def test_nothing_unchecked_is_given(self) -> None:
        """A payload is given when its checksum is right, not when all of them are."""
        damaged = self.file[:-1] + b"!"
        found: list[bytes] = []
        with self.assertRaises(ValueError):
            for payload in read_pieces(BytesIO(damaged), len(self.file), self.crc):
                found.append(payload)
        self.assertEqual(found, self.payloads[:-1])

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
