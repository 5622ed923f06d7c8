"""The bytes of a file of another replica: checked as they come, and what a restart finds of them."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.state import incoming, removing
from epaxos.storage.state.incoming import IncomingFiles, Taken, read_progress, remove_left_over
from epaxos.storage.state.pieces import PieceCheck, frame

SOURCE = 2**64 - 1


def some_file(random: Random, count: int) -> tuple[bytes, list[tuple[int, int]]]:
    """The bytes of some pieces, and where each ends, with its checksum."""
    data, crc = b"", 0
    ends = [(0, 0)]
    for _ in range(count):
        payload = random.randbytes(random.choice((1, 2, 9, 30, 300)))
        header, crc = frame(payload, crc)
        data += header + payload
        ends.append((len(data), crc))
    return data, ends


class PieceCheckTests(SynchronousTestCase):
    def test_however_it_is_cut(self) -> None:
        """After each byte it knows the last whole piece."""
        for seed in range(30):
            random = Random(seed)
            data, ends = some_file(random, 12)
            check = PieceCheck()
            while check.end < len(data):
                part = data[check.end : check.end + random.choice((1, 3, 7, 8, 9, 100, 1000))]
                end = check.end + len(part)
                self.assertTrue(check.add(part))
                self.assertEqual(check.end, end)
                self.assertEqual((check.length, check.crc), max(e for e in ends if e[0] <= end))
            self.assertEqual((check.length, check.crc), ends[-1])

    def test_from_any_piece_on(self) -> None:
        data, ends = some_file(Random(1), 12)
        for length, crc in ends:
            check = PieceCheck(length, crc)
            self.assertTrue(check.add(data[length:]))
            self.assertEqual((check.length, check.crc), ends[-1])

    def test_every_changed_byte(self) -> None:
        """It is found before the piece behind it counts."""
        data, ends = some_file(Random(2), 5)
        for position in range(len(data)):
            changed = bytearray(data)
            changed[position] ^= 0x10
            check = PieceCheck()
            is_good = check.add(bytes(changed))
            self.assertFalse(is_good and check.length == len(data))
            self.assertEqual((check.length, check.crc), max(end for end in ends if end[0] <= position))

    def test_pieces_that_are_lost_doubled_or_exchanged(self) -> None:
        data, ends = some_file(Random(3), 4)
        pieces = [data[start:end] for (start, _), (end, _) in pairwise(ends)]
        one, two, three, four = pieces
        for others, good in (
            ((two, three), 0),
            ((one, three), 1),
            ((one, one), 1),
            ((one, three, two), 1),
            ((one, two, four), 2),
        ):
            check = PieceCheck()
            self.assertFalse(check.add(b"".join(others)))
            self.assertEqual((check.length, check.crc), ends[good])

    def test_zeros(self) -> None:
        """They look like pieces without a payload, which nobody writes."""
        check = PieceCheck()
        self.assertFalse(check.add(bytes(16)))
        self.assertEqual(check.length, 0)


class IncomingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.patch(incoming, "TAKEN_SYNC_BYTES", 200)
        self.data, self.ends = some_file(Random(4), 40)
        self.files = self.start(Taken(SOURCE))

    def start(self, taken: Taken) -> IncomingFiles:
        files = IncomingFiles(self.folder, sync=True)
        self.addCleanup(files.close)
        files.begin(taken)
        return files

    def restart(self) -> Taken:
        self.files.close()
        remove_left_over(self.folder)
        taken = read_progress(self.folder)
        self.files = self.start(taken)
        return taken

    def take(self, start: int, end: int, generation: int = 3) -> bool:
        return self.files.take(generation, False, start, self.data[start:end])

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def part(self, number: int, generation: int = 3) -> StatePart:
        return StatePart(generation, False, *self.ends[number])

    def test_progress(self) -> None:
        """It names whole pieces that are synced, never what is not; a restart cuts off the rest."""
        synced: list[int] = []
        real = os.fdatasync
        self.patch(os, "fdatasync", lambda fd: (real(fd), synced.append(os.fstat(fd).st_size)))
        random = Random(5)
        position = 0
        while position < len(self.data):
            end = min(position + 90, len(self.data))
            self.assertTrue(self.take(position, end))
            position = end
            found = read_progress(self.folder)
            self.assertEqual(found, self.files.taken)
            if found.parts:
                (part,) = found.parts
                self.assertIn(part[2:], self.ends)
                self.assertLessEqual(part.length, synced[-1])
            if random.random() < 0.3:
                taken = self.restart()
                position = taken.parts[0].length if taken.parts else 0
        self.files.sync()
        self.assertEqual(read_progress(self.folder), Taken(SOURCE, (self.part(40),)))
        self.assertEqual((self.folder / "3.log").read_bytes(), self.data)
        self.assertGreater(len(synced), 10)

    def test_not_in_order(self) -> None:
        self.assertTrue(self.take(0, 50))
        for start in (0, 49, 51):
            self.assertFalse(self.take(start, start + 10))
        self.assertTrue(self.take(50, 60))

    def test_wrong_once_and_twice(self) -> None:
        """It goes back to the last good piece; the second time in the same place to the beginning."""
        end, next_end = self.ends[10][0], self.ends[11][0]
        damaged = bytearray(self.data[end:next_end])
        damaged[-1] ^= 1
        self.assertTrue(self.take(0, end))
        for expected in (self.part(10), None, self.part(10)):
            had = self.files.taken.parts[0].length if self.files.taken.parts else 0
            self.assertTrue(self.take(had, end) if had < end else True)
            self.assertFalse(self.files.take(3, False, end, bytes(damaged)))
            self.assertEqual(self.files.taken.parts, () if expected is None else (expected,))
            self.assertEqual(read_progress(self.folder), self.files.taken)
            self.assertFalse(self.take(next_end, next_end + 5))
        self.assertTrue(self.take(end, len(self.data)))
        self.files.sync()
        self.assertEqual(self.files.taken.parts, (self.part(40),))
        self.assertEqual((self.folder / "3.log").read_bytes(), self.data)

    def test_several_files(self) -> None:
        """Each goes on where it was when another one is taken between."""
        end = self.ends[5][0]
        for generation in (3, 4):
            self.assertTrue(self.take(0, end, generation))
        self.assertTrue(self.take(end, self.ends[9][0], 3))
        self.files.sync()
        self.assertEqual(self.files.taken.parts, (self.part(9, 3), self.part(5, 4)))
        self.assertEqual(self.files.refusal([self.part(9, 3), self.part(5, 4)]), "")
        self.assertEqual(self.files.refusal([self.part(9, 3)]), "")
        why = self.files.refusal([self.part(9, 3), self.part(6, 4), self.part(1, 5)])
        self.assertEqual(
            why,
            f"{end} bytes of 4.log are not the {self.ends[6][0]} that were offered, "
            f"0 bytes of 5.log are not the {self.ends[1][0]} that were offered",
        )

    def test_damaged_since_it_was_taken(self) -> None:
        """Whatever a record says of it: it is read before it is installed, and taken anew."""
        path = self.folder / "3.log"
        for position in (0, self.ends[20][0] + 3, len(self.data) - 1):
            self.assertTrue(self.take(0, len(self.data)))
            self.assertEqual(self.files.refusal([self.part(40)]), "")
            self.restart()
            damaged = bytearray(self.data)
            damaged[position] ^= 0x40
            path.write_bytes(damaged)
            why = "3.log does not hold any more what was taken"
            self.assertEqual(self.files.refusal([self.part(40)]), why)
            self.assertEqual(self.files.taken, Taken(SOURCE))
            self.assertEqual(read_progress(self.folder), Taken(SOURCE))

    def test_another_source(self) -> None:
        self.assertTrue(self.take(0, 500))
        self.files.begin(Taken(7))
        self.assertEqual(self.names(), ["progress"])
        self.assertEqual(read_progress(self.folder), Taken(7))

    def test_clear(self) -> None:
        self.assertTrue(self.take(0, 500))
        for _ in range(2):
            self.files.clear()
            self.assertFalse(self.folder.exists())
        self.files.begin(Taken(SOURCE))
        self.assertTrue(self.take(0, 500))

    def test_long_files_go_in_steps(self) -> None:
        self.patch(removing, "CUT_BYTES", 1000)
        cuts: list[int] = []
        real = os.truncate
        self.patch(os, "truncate", lambda path, size: (real(path, size), cuts.append(size)))
        self.take(0, 3500)
        self.files.clear()
        size = len(self.data[:3500])
        self.assertEqual(cuts, list(range(size - 1000, 0, -1000)))

    def test_left_over(self) -> None:
        """A folder whose record does not fit its files goes."""
        self.assertTrue(self.take(0, self.ends[20][0]))
        self.files.sync()
        self.files.close()
        log, progress = self.folder / "3.log", self.folder / "progress"
        whole, record = log.read_bytes(), progress.read_bytes()
        for damage in (
            lambda: log.unlink(),
            lambda: log.write_bytes(whole[:-1]),
            lambda: progress.unlink(),
            lambda: progress.write_bytes(b""),
            lambda: progress.write_bytes(record[:-1]),
            lambda: progress.write_bytes(bytes(len(record))),
            lambda: progress.write_bytes(bytes([record[0] ^ 1]) + record[1:]),
        ):
            self.folder.mkdir(exist_ok=True)
            log.write_bytes(whole + b"behind it")
            progress.write_bytes(record)
            remove_left_over(self.folder)
            self.assertTrue(log.exists())
            damage()
            remove_left_over(self.folder)
            self.assertFalse(self.folder.exists())
        remove_left_over(self.folder)
