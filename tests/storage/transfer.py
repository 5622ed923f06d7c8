"""Two stores of one cluster in two folders, of which one takes the state of the other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from epaxos.interfaces import Checkpoint, WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.transfer import PieceAsk, StateOffer, StatePart
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.leveldb.transfer import LevelDBTransfer
from tests.storage.case import StoreCase
from tests.storage.loop import IDENTITY, checkpoint, proposal
from tests.storage.small import History, make_small, some_batches
from tests.storage.test_epochs import FIRST, of, turn

SOURCE = FIRST.members[0].uid


def transfer_of(store: LevelDBStore) -> LevelDBTransfer:
    assert store.transfer is not None
    return store.transfer


class TransferCase(StoreCase):
    """`self.path` is the folder of the target, `self.source_path` that of the source, which is in epoch 2."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)
        self.target_path = self.path
        self.source_path = Path(self.mktemp())
        self.history = History()
        self.executed = 0

    # -- the source

    def open_source(self) -> LevelDBStore:
        self.path = self.source_path
        store = self.make()
        store.open(IDENTITY)
        self.path = self.target_path
        return store

    def new_source(self) -> LevelDBStore:
        store = self.open_source()
        self.write_by(store, turn(1))
        self.write_by(store, of(1, proposal(3)))
        self.write_by(store, turn(2))
        self.history.add({})  # each turn has written a batch
        self.history.batches.clear()
        return store

    def grow(self, store: LevelDBStore, random: Any, times: int = 1) -> None:
        """Some checkpoints with several batches, and a base when one is due."""
        for _ in range(times):
            batches = self.history.add(*some_batches(random))
            state = self.history.state if store.wants_state else None
            self.executed += 1
            whole = None if state is None else dict(state).items()
            at = Checkpoint((self.executed, 7, 0), (InstanceId(2, 9),), batches, whole)
            self.write_by(store, of(2, WriteSet(checkpoint=at, sync=True)))

    def rest(self, store: LevelDBStore, random: Any) -> None:
        """Grow until no base is under way, so that a close and a new process leave the files as they are."""
        shared: Any = store._shared
        while shared.writer.unfinished:
            self.grow(store, random)

    def offer(self, store: LevelDBStore) -> StateOffer:
        offer = transfer_of(store).offer()
        assert offer is not None
        return offer

    # -- the target

    def open_target(self) -> LevelDBStore:
        store = self.make()
        store.open(IDENTITY)
        return store

    def fill_target(self) -> None:
        """It is in epoch 0, with instances, a reservation, a floor and a state of its own."""
        self.write(
            WriteSet(founded=FIRST, sync=True),
            proposal(2),
            WriteSet(reserved=256, floor=(1, 0, 0), sync=True),
            checkpoint(5, {b"old": b"old"}),
        )

    def pieces(
        self,
        source: LevelDBStore,
        parts: Iterable[StatePart],
        taken: Iterable[StatePart] = (),
        size: int = 999,
    ) -> Iterable[tuple[int, bool, int, bytes]]:
        """What the source has of the parts beyond `taken`."""
        had = {(part.generation, part.is_base): part.length for part in taken}
        for generation, is_base, length, _ in parts:
            offset = had.get((generation, is_base), 0)
            while offset < length:
                data = transfer_of(source).read(
                    PieceAsk(generation, is_base, offset, min(size, length - offset))
                )
                assert data, f"{generation} {is_base} at {offset} is not there any more"
                yield generation, is_base, offset, data
                offset += len(data)

    def take(self, target: LevelDBStore, pieces: Iterable[tuple[int, bool, int, bytes]]) -> list[bool]:
        """What is said of each piece."""
        told: list[bool] = []
        count = 0
        for piece in pieces:
            transfer_of(target).take(*piece, told.append)
            count += 1
        self.loop.run_until(lambda: len(told) == count or self.failures)
        return told

    def take_all(self, source: LevelDBStore, target: LevelDBStore, offer: StateOffer) -> None:
        taken = transfer_of(target).begin(SOURCE)
        self.assertNotIn(False, self.take(target, self.pieces(source, offer.parts, taken)))

    def install(self, target: LevelDBStore, offer: StateOffer) -> str | None:
        """Why it is refused; None when the disk has failed."""
        told: list[str] = []
        transfer_of(target).install(offer, told.append)
        self.loop.run_until(lambda: told or self.failures)
        return told[0] if told else None

    def check_installed(self, offer: StateOffer) -> None:
        """A new process finds the state of the offer in its epoch, and nothing else of this epoch."""
        found = self.restored()
        self.assertEqual((found["executed"], found["beyond"]), (offer.executed, offer.beyond))
        opened = found["opened"]
        self.assertEqual(
            (opened.membership, opened.previous, opened.opened_by, opened.committed),
            (offer.membership, offer.previous, offer.opened_by, (0, 0, 0)),
        )
        self.assertEqual((found["reserved"], found["floor"]), (0, (0, 0, 0)))
        self.assertEqual(found["records"], {})
        self.assertFalse((self.path / "incoming").exists())
