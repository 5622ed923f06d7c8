"""The state on a virtual disk, given piece by piece to another one."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import Checkpoint, EpochRecord, Restored, WriteSet
from epaxos.interfaces.transfer import IStateTransfer
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import Batch, Phase
from epaxos.protocol.values.transfer import PieceAsk, StateOffer
from epaxos.verify.simulation.clock import SECOND, Process, VirtualTime
from epaxos.verify.simulation.contents import FileName
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.disk import Disk, DiskSettings, VirtualStore
from epaxos.verify.simulation.incoming import SYNCED_EVERY
from epaxos.verify.simulation.state_bytes import decode_base, decode_log, encode_base, encode_log, good_part
from epaxos.verify.simulation.state_transfer import TransferWatch
from tests.storage.loop import merged
from tests.verify.simulation.test_disk import IDENTITY, SLOW, executed

FIRST = Membership(7, 0, 1, tuple(Member(number, 1000 + number) for number in range(3)))
R = InstanceId(1, 9)
UID = 1001
PIECE = 10


def record_of(number: int) -> EpochRecord:
    """Epoch `number` begins."""
    return EpochRecord(FIRST._replace(number=number), FIRST._replace(number=number - 1), R, (9, 9, 9))


def instance(slot: int) -> InstanceRecord:
    return InstanceRecord(InstanceId(0, slot), Phase.ACCEPTED, 0, 0, Value.PROPOSED, (0, 0, 0), None)


class BytesTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for entries in ({}, {b"": b""}, {b"k": b"v", b"long": b"w" * 300}):
            self.assertEqual(decode_base(encode_base(entries)), entries)
        log = [executed(2), (InstanceId(2, 1), Batch((), (b"r",), b"x" * 99, 3, True))]
        self.assertEqual(decode_log(encode_log(log)), log)
        self.assertEqual(encode_log([]), b"")

    def test_every_changed_byte_is_found(self) -> None:
        data = encode_base({b"k": b"v", b"l": b"w"})
        self.assertEqual(good_part(data)[:2:2], (len(data),))
        for position in range(len(data)):
            wrong = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            good = good_part(wrong)
            self.assertLess(good.length, len(data))
            self.assertTrue(good.length <= position)
            self.assertNotEqual(good.crc, good_part(data).crc)

    def test_the_beginning_of_a_piece_is_not_wrong_yet(self) -> None:
        data = encode_log([executed(1), executed(2)])
        first = len(encode_log([executed(1)]))
        for length in range(len(data)):
            self.assertEqual(good_part(data[:length])[::2], (first * (length >= first), True))

    def test_what_is_appended_is_behind(self) -> None:
        """A file only grows, so what was taken of it stays good."""
        log = [executed(slot) for slot in range(1, 6)]
        for count in range(len(log)):
            self.assertTrue(encode_log(log).startswith(encode_log(log[:count])))


class Watch(TransferWatch):
    """Notes what it is told.  `kill_at` ends the process there."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.files: list[Mapping[FileName, bytes]] = []
        self.kill_at = ""
        self.process: Process | None = None

    def _note(self, what: str) -> None:
        self.told.append(what)
        if what == self.kill_at and self.process is not None:
            self.process.kill()

    def offers(self, offer: StateOffer, files: Mapping[FileName, bytes]) -> None:
        self._note("offers")

    def installs(self, source: int, offer: StateOffer, files: Mapping[FileName, bytes]) -> None:
        self.files.append(files)
        self._note(f"installs {source}")

    def has_handed_in(self) -> None:
        self._note("handed in")

    def has_installed(self) -> None:
        self._note("installed")


class Side:
    """A disk, and the store of the process that uses it now."""

    def __init__(self, time: VirtualTime, settings: DiskSettings, seed: int = 0) -> None:
        self.time = time
        self.disk = Disk(settings, Dice(seed, "disk"))
        self.failures: list[str] = []
        self.restored: Restored
        self.start()

    def start(self) -> None:
        self.process = Process(self.time)
        self.watch = Watch()
        self.watch.process = self.process
        self.store = VirtualStore(
            self.disk, self.process, self.failures.append, lambda write_set: None, self.watch
        )
        self.restored = self.store.open(IDENTITY)
        self.transfer = self.store.transfer

    def write(self, write_set: WriteSet) -> None:
        write_set.sync = True
        self.store.write(write_set, lambda: None)
        self.time.run(self.time.now + SECOND, 10**6)

    def open(self, number: int, *slots: int, state: dict[bytes, bytes] | None = None) -> None:
        """Epoch `number` begins, with these batches and this state."""
        self.write(WriteSet(opened=record_of(number), epoch=number, checkpoint=_checkpoint(0, slots, state)))

    def checkpoint(self, number: int, *slots: int, state: dict[bytes, bytes] | None = None) -> None:
        self.write(WriteSet(epoch=number, checkpoint=_checkpoint(max(slots, default=0), slots, state)))

    def crash(self, power: bool) -> None:
        self.process.kill()
        self.disk.crash(power)


def _checkpoint(slot: int, slots: tuple[int, ...], state: dict[bytes, bytes] | None) -> Checkpoint:
    batches = [executed(each) for each in slots]
    return Checkpoint((slot, 0, 0), (), batches, None if state is None else state.items())


class Lab(SynchronousTestCase):
    def build(self, settings: DiskSettings = SLOW, seed: int = 0) -> None:
        self.time = VirtualTime()
        self.source = Side(self.time, SLOW, 1)
        self.target = Side(self.time, settings, seed)
        self.answers: list[bool] = []
        self.installed: list[str] = []

    def run_for(self, duration: int) -> None:
        self.time.run(self.time.now + duration, 10**6)

    def offered(self) -> StateOffer:
        offer = self.source.transfer.offer()
        assert offer is not None
        return offer

    def take(self, offer: StateOffer, pieces: int = 10**6) -> int:
        """Take what is missing of an offer, at most so many pieces.  Returns how many were taken."""
        count = 0
        have = {part[:2]: part.length for part in self.target.transfer.begin(UID)}
        for part in offer.parts:
            at = have.get(part[:2], 0)
            while at < part.length and count < pieces:
                size = min(PIECE, part.length - at)
                data = self.source.transfer.read(PieceAsk(*part[:2], at, size))
                self.assertEqual(len(data), size)
                self.target.transfer.take(*part[:2], at, data, self.answers.append)
                at += size
                count += 1
        self.run_for(SECOND)
        return count

    def install(self, offer: StateOffer) -> None:
        self.target.transfer.install(offer, self.installed.append)

    def held(self) -> list[InstanceId]:
        """What the target finds of epoch 0."""
        found: list[list[InstanceId]] = []
        self.target.store.held(0, None, 9, found.append)
        self.run_for(SECOND)
        return found[0]


class TransferTests(Lab):
    def test_interface(self) -> None:
        self.build()
        verifyObject(IStateTransfer, self.target.transfer)

    def test_there_is_nothing_to_give_in_epoch_0(self) -> None:
        self.build()
        self.source.checkpoint(0, 1)
        self.assertIsNone(self.source.transfer.offer())

    def test_round_trip(self) -> None:
        """A base and two logs, over an epoch and instances of the target's own."""
        self.build()
        self.source.open(4, state={b"a": b"1" * 50, b"b": b"2"})
        self.source.checkpoint(4, 1, 2)
        self.source.start()
        self.source.checkpoint(4, 3)
        self.target.write(WriteSet(records=[instance(5)], reserved=8, floor=(1, 1, 1)))
        offer = self.offered()
        self.assertEqual([part.is_base for part in offer.parts], [True, False, False])
        self.assertGreater(self.take(offer), 10)
        self.assertEqual(set(self.answers), {True})
        self.install(offer)
        self.assertEqual(self.installed, [], "it is not durable yet")
        self.run_for(SECOND)
        self.assertEqual(self.installed, [""])
        self.target.start()
        found = self.target.restored
        self.assertEqual(merged(found.base), {b"a": b"1" * 50, b"b": b"2"})
        self.assertEqual(list(found.batches), [executed(1), executed(2), executed(3)])
        self.assertEqual((found.executed, found.beyond), ((3, 0, 0), ()))
        self.assertEqual((found.reserved, found.floor, list(found.records)), (0, (0, 0, 0), []))
        self.assertEqual(found.opened, record_of(4)._replace(committed=(0, 0, 0)))
        self.assertEqual(self.target.store.held_epochs(), [0])
        self.assertEqual(self.held(), [InstanceId(0, 5)])
        self.assertEqual(self.target.transfer.begin(UID), (), "what was taken is in its place")

    def test_a_taken_state_can_be_given(self) -> None:
        self.build()
        self.source.open(2, 1, 2)
        self.take(self.offered())
        self.install(self.offered())
        self.run_for(SECOND)
        self.target.start()
        offer = self.target.transfer.offer()
        assert offer is not None
        self.assertEqual(offer[:5], self.offered()[:5])
        self.assertEqual([part.length for part in offer.parts], [p.length for p in self.offered().parts])

    def test_the_growth_is_taken_behind(self) -> None:
        self.build()
        self.source.open(1, 1, 2)
        first = self.offered()
        self.take(first)
        self.source.checkpoint(1, 3)
        second = self.offered()
        self.assertEqual([p[:2] for p in second.parts], [p[:2] for p in first.parts])
        whole = second.bytes // PIECE
        self.assertLess(self.take(second), whole)
        self.install(second)
        self.run_for(SECOND)
        self.assertEqual(self.installed, [""])

    def test_a_part_that_is_short_or_wrong_is_refused(self) -> None:
        self.build()
        self.source.open(1, 1, 2)
        offer = self.offered()
        self.take(offer, 3)
        self.install(offer)
        (part,) = offer.parts
        self.take(offer)
        self.install(offer._replace(parts=(part._replace(crc=part.crc ^ 1),)))
        self.run_for(SECOND)
        self.assertEqual(len(self.installed), 2)
        self.assertNotIn("", self.installed)
        self.target.start()
        self.assertIsNone(self.target.restored.opened)

    def test_changed_bytes_are_refused_and_can_be_taken_again(self) -> None:
        self.build()
        self.source.open(1, 1, 2)
        offer = self.offered()
        (part,) = offer.parts
        self.target.transfer.begin(UID)
        data = bytearray(self.source.transfer.read(PieceAsk(*part[:2], 0, part.length)))
        data[-1] ^= 1
        self.target.transfer.take(*part[:2], 0, bytes(data), self.answers.append)
        self.run_for(SECOND)
        self.assertEqual(self.answers, [False])
        self.take(offer)
        self.install(offer)
        self.run_for(SECOND)
        self.assertEqual(self.installed, [""])

    def test_bytes_out_of_order_are_refused(self) -> None:
        self.build()
        self.source.open(1, 1)
        (part,) = self.offered().parts
        self.target.transfer.begin(UID)
        self.target.transfer.take(*part[:2], 3, b"abc", self.answers.append)
        self.run_for(SECOND)
        self.assertEqual(self.answers, [False])

    def test_another_source_begins_anew(self) -> None:
        self.build()
        self.source.open(1, 1, 2)
        self.take(self.offered())
        self.assertTrue(self.target.transfer.begin(UID))
        self.assertEqual(self.target.transfer.begin(UID + 1), ())
        self.assertEqual(self.target.transfer.begin(UID), ())

    def test_given_up(self) -> None:
        self.build()
        self.source.open(1, 1, 2)
        self.take(self.offered())
        self.target.transfer.give_up()
        self.assertEqual(self.target.transfer.begin(UID), ())


class PinTests(Lab):
    def replace_the_base(self, pinned_us: int) -> list[bytes]:
        """A new base takes the place of files that were offered.  What can be read of these afterwards."""
        self.build()
        self.source = Side(self.time, DiskSettings(0, 0, pinned_us=pinned_us))
        self.source.open(1, 1, 2)
        (part,) = self.offered().parts
        self.source.checkpoint(1, 3, state={b"k": b"3"})
        self.assertNotIn(part, self.offered().parts)
        self.run_for(2 * SECOND)
        return [self.source.transfer.read(PieceAsk(*part[:2], 0, PIECE)) for _ in range(2)]

    def test_what_was_offered_is_kept(self) -> None:
        for data in self.replace_the_base(60 * SECOND):
            self.assertEqual(len(data), PIECE)

    def test_but_not_for_ever(self) -> None:
        self.assertEqual(self.replace_the_base(SECOND), [b"", b""])

    def test_only_what_was_offered_is_read(self) -> None:
        self.build()
        self.source.open(1, 1)
        (part,) = self.offered().parts
        self.source.checkpoint(1, 2)
        ask = PieceAsk(*part[:2], 0, 10**6)
        self.assertEqual(len(self.source.transfer.read(ask)), part.length)
        self.assertEqual(self.source.transfer.read(ask._replace(offset=part.length)), b"")
        self.source.start()
        self.assertEqual(self.source.transfer.read(ask), b"", "another process has offered nothing")


class CrashTests(Lab):
    def left_after_a_crash(self, power: bool, settings: DiskSettings = SLOW) -> set[int]:
        """How many bytes are left of 3 pieces behind the last sync, over many seeds."""
        found = set()
        for seed in range(60):
            self.build(settings, seed)
            self.source.open(1, *range(1, 9))
            self.take(self.offered(), SYNCED_EVERY + 3)
            self.target.crash(power)
            self.target.start()
            parts = self.target.transfer.begin(UID)
            found.add(parts[0].length if parts else 0)
            self.assertGreater(self.take(self.offered()), 0)
            self.install(self.offered())
            self.run_for(SECOND)
            self.assertEqual(self.installed, [""])
        return found

    def test_what_was_synced_is_left_and_whole_pieces_of_the_rest(self) -> None:
        sizes = [len(encode_log([executed(s) for s in range(1, count + 1)])) for count in range(9)]
        synced = max(size for size in sizes if size <= SYNCED_EVERY * PIECE)
        taken = max(size for size in sizes if size <= (SYNCED_EVERY + 3) * PIECE)
        self.assertLess(synced, taken)
        for power in (False, True):
            found = self.left_after_a_crash(power)
            self.assertLessEqual(found, set(sizes))
            self.assertEqual((min(found), max(found)), (synced, taken))
        self.assertEqual(self.left_after_a_crash(True, DiskSettings(1000, 100, forgetful=True)), {synced})

    def test_an_installation_is_there_as_a_whole_or_not_at_all(self) -> None:
        found = set()
        for seed in range(20):
            self.build(seed=seed)
            self.target.checkpoint(0, 7)
            self.source.open(3, 1, 2)
            self.take(self.offered())
            self.install(self.offered())
            self.run_for(300)
            self.target.crash(power=True)
            self.target.start()
            restored = self.target.restored
            number = 0 if restored.opened is None else restored.opened.membership.number
            batches = [id.slot for id, _ in restored.batches]
            self.assertEqual(batches, [7] if number == 0 else [1, 2])
            self.assertEqual(bool(self.target.transfer.begin(UID)), number == 0, "it can be resumed")
            found.add(number)
        self.assertEqual(found, {0, 3})

    def test_it_comes_behind_all_that_was_written_before(self) -> None:
        self.build()
        self.source.open(1, 1)
        self.take(self.offered())
        self.target.store.write(WriteSet(records=[instance(4)], sync=True), lambda: None)
        self.install(self.offered())
        self.run_for(SECOND)
        self.target.start()
        self.assertEqual(self.held(), [InstanceId(0, 4)])

    def test_who_watches_may_kill_at_each_step(self) -> None:
        for step, is_installed in (("installs 1001", False), ("handed in", None), ("installed", True)):
            self.build()
            self.source.open(1, 1)
            self.take(self.offered())
            self.target.watch.kill_at = step
            self.install(self.offered())
            self.run_for(SECOND)
            self.assertEqual(self.installed, [])
            self.assertEqual(self.target.watch.told[-1], step)
            self.assertEqual(self.target.watch.files, [self.source.disk.contents.files()])
            self.target.disk.crash(power=True)
            self.target.start()
            if is_installed is not None:
                self.assertEqual(self.target.restored.opened is not None, is_installed)


class BadDiskTests(Lab):
    def test_a_full_disk_is_told_once(self) -> None:
        self.build()
        self.source.open(1, 1, 2)
        self.target.disk.full = True
        self.take(self.offered())
        self.target.store.write(WriteSet(reserved=1), lambda: None)
        self.run_for(SECOND)
        self.assertEqual((self.answers, self.target.failures), ([], ["the disk is full"]))

    def test_a_hung_disk_is_silent(self) -> None:
        self.build()
        self.source.open(1, 1, 2)
        self.target.disk.hang()
        self.take(self.offered())
        self.assertEqual((self.answers, self.target.failures), ([], []))

    def test_who_is_told_of_a_new_epoch(self) -> None:
        self.build()
        told: list[int] = []
        self.source.disk.on_opened = lambda: told.append(self.source.disk.contents.epoch)
        self.source.checkpoint(0, 1)
        self.source.open(1, 2)
        self.source.checkpoint(1, 3)
        self.source.open(2, 4)
        self.assertEqual(told, [1, 2])
