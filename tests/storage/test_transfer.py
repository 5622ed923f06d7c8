"""The state goes from one store to another."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from epaxos.interfaces import IStateTransfer, WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.transfer import PieceAsk, StateOffer, StatePart
from epaxos.storage.leveldb import thread
from epaxos.storage.leveldb.stopped import read_stopped
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.state import pins
from epaxos.storage.state.names import part_path
from tests.storage.loop import PATIENCE_S, checkpoint, proposal
from tests.storage.test_epochs import drop, members, of, record_of, turn
from tests.storage.transfer import SOURCE, TransferCase, transfer_of


class RoundTripTests(TransferCase):
    def test_a_state_that_has_grown(self) -> None:
        """Over several bases, and taken in several rounds; the state is the one that was offered."""
        for seed in range(6):
            random = Random(seed)
            self.setUp()
            source = self.new_source()
            self.grow(source, random, 40)
            self.fill_target()
            target = self.open_target()
            for _ in range(3):
                offer = self.offer(source)
                self.take_all(source, target, offer)
                state = self.history.state
                self.grow(source, random, random.choice((1, 3)))
            self.assertEqual(self.install(target, offer), "")
            self.close_store(target)
            self.check_installed(offer)
            self.assertEqual(self.restored()["state"], state)
            self.close_store(source)
            self.assertGreater(sum(part.is_base for part in offer.parts), 0)

    def test_interface(self) -> None:
        source = self.new_source()
        verifyObject(IStateTransfer, source.transfer)
        self.close_store(source)

    def test_logs_alone_and_nothing_at_all(self) -> None:
        """A small state has no base, and a state in which nothing was written has no files."""
        for batches in (1, 0):
            self.setUp()
            source = self.open_source()
            self.write_by(
                source, WriteSet(checkpoint=turn(1).checkpoint, opened=record_of(1), epoch=1, sync=True)
            )
            if batches:
                self.write_by(source, of(1, checkpoint(3, {b"k": b"v"})))
            offer = self.offer(source)
            self.fill_target()
            target = self.open_target()
            if not batches:
                offer = offer._replace(parts=())
            self.assertEqual([part.is_base for part in offer.parts], [False] * batches)
            self.take_all(source, target, offer)
            self.assertEqual(self.install(target, offer), "")
            self.close_store(target)
            self.check_installed(offer)
            self.assertEqual(self.restored()["state"], {b"k": b"v"} if batches else {})
            self.close_store(source)

    def test_work_goes_on_after_it(self) -> None:
        """In the new epoch, with the files of the state growing, and as a source for a third replica."""
        random = Random(3)
        source = self.new_source()
        self.grow(source, random, 20)
        target = self.open_target()
        offer = self.offer(source)
        self.take_all(source, target, offer)
        self.assertEqual(self.install(target, offer), "")
        self.close_store(target)
        self.close_store(source)
        target = self.open_target()
        self.grow(target, random, 60)
        second = self.offer(target)
        self.assertEqual(second.executed, (self.executed, 7, 0))
        self.assertEqual(second.membership, offer.membership)
        self.close_store(target)
        self.assertEqual(self.restored()["state"], self.history.state)
        source_path, self.source_path = self.source_path, self.path
        self.path = self.target_path = Path(self.mktemp())
        self.assertNotEqual(source_path, self.source_path)
        source, target = self.open_source(), self.open_target()
        third = self.offer(source)
        self.take_all(source, target, third)
        self.assertEqual(self.install(target, third), "")
        self.close_store(target)
        self.close_store(source)
        self.assertEqual(self.restored()["state"], self.history.state)

    def test_instances_of_earlier_epochs_stay(self) -> None:
        """Until they are dropped."""
        source = self.new_source()
        self.fill_target()
        target = self.open_target()
        self.write_by(target, turn(1))
        self.write_by(target, of(1, proposal(4)))
        offer = self.offer(source)
        self.take_all(source, target, offer)
        self.assertEqual(self.install(target, offer), "")
        self.close_store(target)
        target = self.open_target()
        self.assertEqual(target.held_epochs(), [0, 1])
        self.assertEqual(self.held_by(target, 1, None, 9), [InstanceId(1, 4)])
        self.write_by(target, of(2, proposal(9)))
        self.write_by(target, drop(0, self.held_by(target, 0, None, 9)))
        self.assertEqual(target.held_epochs(), [1])
        self.close_store(target)
        self.close_store(source)

    def test_the_next_epoch_of_a_state(self) -> None:
        """A second transfer, after turns here and there, takes names that were never used."""
        random = Random(5)
        source = self.new_source()
        self.grow(source, random, 30)
        for number in (2, 3):
            target = self.open_target()
            offer = self.offer(source)
            self.assertEqual(offer.membership.number, number)
            before = {path.name for path in (self.path / "state").iterdir()}
            self.take_all(source, target, offer)
            self.assertEqual(self.install(target, offer), "")
            self.close_store(target)
            after = {path.name for path in (self.path / "state").iterdir()} - before
            self.assertEqual(len(after), len(offer.parts))
            self.check_installed(offer)
            self.write_by(source, turn(number + 1, last=b"%d" % number))
        self.assertEqual(self.restored()["state"], {**self.history.state, b"last": b"2"})
        self.close_store(source)


class OfferTests(TransferCase):
    def test_none_in_epoch_0(self) -> None:
        store = self.open_target()
        self.write_by(store, checkpoint(3, {b"k": b"v"}))
        self.assertIsNone(transfer_of(store).offer())
        self.close_store(store)

    def test_only_what_is_durable(self) -> None:
        """A checkpoint that was not synced may be lost, and other bytes take its place in the file."""
        source = self.new_source()
        before = self.offer(source)
        self.assertEqual(before.executed, (0, 0, 0))
        durable: list[int] = []
        source.write(of(2, checkpoint(3, {b"k": b"v"}, sync=False)), lambda: durable.append(1))
        for _ in range(64):
            source.write(of(2, proposal(1, sync=False)), lambda: durable.append(1))
        self.loop.run_until(lambda: len(durable) >= 64)
        self.assertEqual(self.offer(source), before)
        self.write_by(source, of(2, proposal(2)))
        self.assertEqual(self.offer(source).executed, (3, 3, 0))
        self.close_store(source)

    def test_after_a_restart(self) -> None:
        source = self.new_source()
        random = Random(1)
        self.grow(source, random, 30)
        self.rest(source, random)
        offer = self.offer(source)
        self.close_store(source)
        source = self.open_source()
        self.assertEqual(self.offer(source), offer)
        self.close_store(source)

    def test_what_is_read(self) -> None:
        """Only what was offered, and never more than was asked for."""
        source, random = self.new_source(), Random(1)
        self.grow(source, random, 30)
        self.rest(source, random)
        offer = self.offer(source)
        last = offer.parts[-1]
        whole = (self.source_path / "state" / f"{last.generation}.log").read_bytes()
        self.grow(source, Random(2), 1)
        transfer = transfer_of(source)
        end = last.length
        for offset, size, expected in (
            (0, 10, whole[:10]),
            (7, 1, whole[7:8]),
            (end - 5, 10, whole[end - 5 : end]),
            (end, 10, b""),
            (end + 1, 10, b""),
            (-1, 10, b""),
            (0, 0, b""),
            (0, -1, b""),
        ):
            with self.subTest(f"{offset} {size}"):
                self.assertEqual(transfer.read(PieceAsk(last.generation, False, offset, size)), expected)
        self.assertEqual(transfer.read(PieceAsk(last.generation + 7, False, 0, 10)), b"")
        self.offer(source)
        self.assertNotEqual(transfer.read(PieceAsk(last.generation, False, end, 10)), b"")
        self.close_store(source)

    def test_files_that_cannot_be_read(self) -> None:
        """It is said once, and no more: this replica itself does not need them now."""
        source = self.new_source()
        self.grow(source, Random(1), 30)
        offer = self.offer(source)
        generation, is_base, *_ = offer.parts[0]
        ask = PieceAsk(generation, is_base, 0, 100)
        path = part_path(self.source_path / "state", generation, is_base)
        lines: list[str] = []
        observer = lambda event: lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        os.truncate(path, 50)
        for _ in range(3):
            self.assertEqual(transfer_of(source).read(ask), b"")
        self.assertEqual(
            [line for line in lines if path.name in line],
            [f"{path} cannot be read: it has become shorter: no other replica can take the state from here"],
        )
        self.write_by(source, of(2, proposal(900)))
        self.close_store(source)

    def test_files_that_a_new_base_replaces(self) -> None:
        """They are kept while they are read, and go when nobody reads them any more."""
        self.patch(thread, "PINNED_WAIT_S", 0.01)
        random = Random(4)
        source = self.new_source()
        self.grow(source, random, 30)
        offer = self.offer(source)
        state = self.history.state
        old = [part_path(self.source_path / "state", part.generation, part.is_base) for part in offer.parts]
        shared: Any = source._shared
        writer = shared.writer
        while writer.durable.manifest.base.generation == offer.parts[0].generation or writer.unfinished:
            self.grow(source, random, 1)
        self.assertTrue(all(path.exists() for path in old))
        target = self.open_target()
        self.take_all(source, target, offer)
        self.assertEqual(self.install(target, offer), "")
        self.close_store(target)
        self.check_installed(offer)
        self.assertEqual(self.restored()["state"], state)
        first = offer.parts[0]
        ask = PieceAsk(first.generation, True, 0, 10)
        self.patch(pins, "PINNED_S", 0.01)
        self.assertEqual(len(transfer_of(source).read(ask)), 10)
        ends = monotonic() + PATIENCE_S
        while old[0].exists():
            self.assertLess(monotonic(), ends)
            self.grow(source, random, 1)  # the thread sleeps until the end that it knew
            sleep(0.05)
        self.assertEqual(transfer_of(source).read(ask), b"")
        self.close_store(source)


class RefusedTests(TransferCase):
    """An install that is refused has changed nothing, and the store works on."""

    def setUp(self) -> None:
        super().setUp()
        self.source = self.new_source()
        self.grow(self.source, Random(1), 30)
        self.fill_target()
        self.target = self.open_target()
        self.wanted = self.offer(self.source)

    def tearDown(self) -> None:
        self.close_store(self.source)

    def refused(self, offer: StateOffer, expected: str) -> None:
        why = self.install(self.target, offer)
        self.assertRegex(why or "", expected)
        self.write_by(self.target, checkpoint(6, {b"new": b"new"}))

    def still_old(self) -> None:
        self.close_store(self.target)
        found = self.restored()
        self.assertIsNone(found["opened"])
        self.assertEqual((found["reserved"], found["floor"]), (256, (1, 0, 0)))
        self.assertEqual(found["state"], {b"old": b"old", b"new": b"new"})

    def test_a_part_is_short(self) -> None:
        """By a byte, a piece, or all of it; then the rest is taken, and it is installed."""
        pieces = list(self.pieces(self.source, self.wanted.parts))
        transfer_of(self.target).begin(SOURCE)
        self.assertNotIn(False, self.take(self.target, pieces[:-1]))
        self.refused(self.wanted, "bytes of .*log are not the .* that were offered")
        taken = transfer_of(self.target).begin(SOURCE)
        self.assertNotIn(False, self.take(self.target, self.pieces(self.source, self.wanted.parts, taken)))
        self.assertEqual(self.install(self.target, self.wanted), "")
        self.close_store(self.target)
        self.check_installed(self.wanted)

    def test_nothing_was_taken(self) -> None:
        transfer_of(self.target).begin(SOURCE)
        self.refused(self.wanted, "^0 bytes of .*base are not the .* that were offered, 0 bytes")
        self.still_old()

    def test_another_chain(self) -> None:
        """All bytes are good, and the last checksum is another: that file is taken anew."""
        self.take_all(self.source, self.target, self.wanted)
        base = self.wanted.parts[0]
        other = (base._replace(crc=base.crc ^ 1), *self.wanted.parts[1:])
        self.refused(self.wanted._replace(parts=other), r"bytes of .*base are not")
        taken = transfer_of(self.target).begin(SOURCE)
        self.assertEqual(set(taken), set(self.wanted.parts[1:]))
        self.still_old()

    def test_impossible(self) -> None:
        whole = self.wanted
        base = whole.parts[0]
        fewer = members(1)._replace(members=members(1).members[:2])
        cases: tuple[tuple[str, StateOffer], ...] = (
            ("no order", whole._replace(parts=(*whole.parts, base))),
            (
                "3 rows, and 2 members",
                whole._replace(membership=whole.membership._replace(members=fewer.members)),
            ),
            ("an instance of replica 2", whole._replace(previous=fewer)),
            ("does not fit", whole._replace(previous=members(0))),
            ("replica 3", whole._replace(opened_by=InstanceId(3, 1))),
            ("2 rows, and 3 members", whole._replace(executed=(1, 2))),
            ("slot", whole._replace(executed=(1, 2, 2**63))),
            ("impossible", whole._replace(beyond=(InstanceId(0, 0),))),
            ("impossible", whole._replace(beyond=(InstanceId(3, 1),))),
            ("impossible", whole._replace(parts=(base, *whole.parts[1:], StatePart(0, False, 5, 1)))),
        )
        for expected, offer in cases:
            self.take_all(self.source, self.target, whole)
            with self.subTest(str(offer)[:60]):
                self.refused(offer, expected)
        self.still_old()

    def test_an_epoch_that_was_opened_meanwhile(self) -> None:
        """By running its beginning: then that counts."""
        self.take_all(self.source, self.target, self.wanted)
        told: list[str] = []
        transfer_of(self.target).install(self.wanted, told.append)
        self.write_by(self.target, turn(2, b=b"turned"))
        self.loop.run_until(lambda: told)
        self.assertEqual(told, ["epoch 2 was opened here meanwhile"])
        self.close_store(self.target)
        self.assertEqual(self.restored()["opened"], record_of(2))

    def test_give_up(self) -> None:
        """What was taken is gone; nobody is told anything any more."""
        transfer = transfer_of(self.target)
        self.take_all(self.source, self.target, self.wanted)
        transfer.install(self.wanted, self.fail)
        transfer.give_up()
        self.assertEqual(transfer.begin(SOURCE), ())
        transfer.give_up()
        self.assertRaises(RuntimeError, transfer.take, 0, True, 0, b"x", self.fail)
        self.assertRaises(RuntimeError, transfer.install, self.wanted, self.fail)
        ends = monotonic() + PATIENCE_S
        while (self.path / "incoming").exists() and monotonic() < ends:
            sleep(0.01)  # a thread removes it, unless the store is closed before
        self.write_by(self.target, checkpoint(6, {b"new": b"new"}))
        self.still_old()
        self.assertFalse((self.path / "incoming").exists())


class ResumeTests(TransferCase):
    def test_after_a_restart(self) -> None:
        """Of either side: what was synced is not taken again, and a clean stop syncs all whole pieces."""
        random = Random(7)
        source = self.new_source()
        self.grow(source, random, 40)
        self.rest(source, random)
        offer = self.offer(source)
        pieces = list(self.pieces(source, offer.parts))
        for share in (0.2, 0.5, 0.9):
            target = self.open_target()
            taken = transfer_of(target).begin(SOURCE)
            rest = list(self.pieces(source, offer.parts, taken))
            self.take(target, rest[: int(len(pieces) * share) - (len(pieces) - len(rest))])
            self.close_store(target)
            self.close_store(source)
            source = self.open_source()
            offer = self.offer(source)
            found = read_stopped(self.path)
            self.assertEqual((found.records, found.generation), (0, 0))
            had = sum(part.length for part in taken)
            target = self.open_target()
            taken = transfer_of(target).begin(SOURCE)
            self.assertGreater(sum(part.length for part in taken), had)
            self.close_store(target)
        target = self.open_target()
        self.take_all(source, target, offer)
        self.assertEqual(self.install(target, offer), "")
        self.close_store(target)
        self.check_installed(offer)
        self.assertEqual(self.restored()["state"], self.history.state)
        self.close_store(source)

    def test_another_source(self) -> None:
        source = self.new_source()
        self.grow(source, Random(7), 40)
        offer = self.offer(source)
        target = self.open_target()
        self.take_all(source, target, offer)
        self.assertEqual(transfer_of(target).begin(99), ())
        self.assertEqual(transfer_of(target).begin(SOURCE), ())
        self.assertNotIn(False, self.take(target, self.pieces(source, offer.parts)))
        self.close_store(target)
        target = self.open_target()
        self.assertEqual(set(transfer_of(target).begin(SOURCE)), set(offer.parts))
        self.close_store(target)
        target = self.open_target()
        self.assertEqual(transfer_of(target).begin(99), ())
        self.assertEqual(self.take(target, [(1, True, 5, b"x")]), [False])
        self.close_store(target)
        self.assertEqual([path.name for path in (self.path / "incoming").glob("[!1]*")], ["progress"])
        self.close_store(source)

    def test_damaged_bytes(self) -> None:
        """They are refused, the file goes back to its last good piece, and good ones repair it."""
        source = self.new_source()
        self.grow(source, Random(7), 40)
        offer = self.offer(source)
        target = self.open_target()
        transfer = transfer_of(target)
        taken = transfer.begin(SOURCE)
        pieces = list(self.pieces(source, offer.parts, taken))
        generation, is_base, offset, data = pieces[2]
        for position in (0, 4, len(data) // 2):
            damaged = bytearray(data)
            damaged[position] ^= 1
            told = self.take(target, [*pieces[:2], (generation, is_base, offset, bytes(damaged)), pieces[3]])
            self.assertEqual(told[:2], [True, True])
            self.assertIn(False, told[2:])
            taken = transfer.begin(SOURCE)
            self.assertLessEqual(sum(part.length for part in taken), offset + len(data))
            transfer.begin(99)
            transfer.begin(SOURCE)
        transfer.begin(SOURCE)
        told = self.take(target, [*pieces[:2], (generation, is_base, offset, b"\xff" * len(data))])
        taken = transfer.begin(SOURCE)
        self.assertNotIn(False, self.take(target, self.pieces(source, offer.parts, taken)))
        self.assertEqual(self.install(target, offer), "")
        self.close_store(target)
        self.check_installed(offer)
        self.close_store(source)


class WritesMeanwhileTests(TransferCase):
    def test_what_was_reported_durable_came_before(self) -> None:
        """Writes go on until the install; none behind it is reported, and none is found."""
        source = self.new_source()
        offer = self.offer(source)
        self.fill_target()
        target = self.open_target()
        self.take_all(source, target, offer)
        durable: list[int] = []
        told: list[str] = []
        transfer_of(target).install(offer, told.append)
        slot = 400

        def write() -> None:
            nonlocal slot
            slot += 1
            number = slot
            target.write(proposal(number), lambda: durable.append(number))

        for _ in range(100):
            if told or self.is_over(target):
                break
            write()
            sleep(0.001)  # else the threads would hardly get the interpreter lock
        self.loop.run_until(lambda: told)
        self.assertEqual(told, [""])
        seen = len(durable)
        for _ in range(9):
            write()
        target.write(checkpoint(8, {b"k": b"late"}), lambda: durable.append(0))
        self.close_store(target)
        self.assertEqual(len(durable), seen)
        self.check_installed(offer)
        target = self.open_target()
        held = {id.slot for id in self.held_by(target, 0, InstanceId(1, 400), 1_000_000)}
        self.assertEqual(held, set(durable))
        self.assertNotIn(b"k", self.history.state)
        self.close_store(target)
        self.close_store(source)

    def is_over(self, target: LevelDBStore) -> bool:
        return target._shared is not None and target._shared.is_over


class HeldTests(TransferCase):
    def test_epochs(self) -> None:
        """Those that have ended, and of which something is held, whatever of them was dropped before."""
        store = self.open_target()
        self.assertEqual(store.held_epochs(), [])
        self.write_by(store, proposal(2))
        self.assertEqual(store.held_epochs(), [], "it has not ended")
        expected: list[list[int]] = []
        for number in range(1, 5):
            self.write_by(store, turn(number))
            if number != 2:
                self.write_by(store, of(number, proposal(1)))
                self.write_by(store, of(number, proposal(2)))
            expected.append(store.held_epochs())
        self.assertEqual(expected, [[0], [0, 1], [0, 1], [0, 1, 3]])
        self.write_by(store, drop(1, self.held_by(store, 1, None, 1)))
        self.assertEqual(store.held_epochs(), [0, 1, 3])
        self.write_by(store, drop(1, self.held_by(store, 1, None, 9)))
        self.assertEqual(store.held_epochs(), [0, 3])
        self.write_by(store, drop(0, self.held_by(store, 0, None, 9)))
        self.assertEqual(store.held_epochs(), [3])
        self.assertEqual(store.held_epochs(), [3])
        self.close_store(store)
        store = self.open_target()
        self.assertEqual(store.held_epochs(), [3])
        self.write_by(store, turn(2**40))
        self.assertEqual(store.held_epochs(), [3, 4])
        self.write_by(store, drop(3, self.held_by(store, 3, None, 9)))
        self.write_by(store, drop(4, self.held_by(store, 4, None, 9)))
        self.assertEqual(store.held_epochs(), [])
        self.close_store(store)

    def test_before_it_is_open(self) -> None:
        self.assertRaises(RuntimeError, self.make().held_epochs)
