"""The chain of epochs at one replica, with a store, a transport and a core that the tests control."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import EpochRecord, IStateMachine, IStore, ITransport, Restored, WriteSet
from epaxos.node.candidates import Candidates
from epaxos.node.dropping import DROP_EVERY_S, DROPPED_AT_ONCE
from epaxos.node.epochs import EARLY_FRAMES_MAX, Epochs
from epaxos.node.following import Following
from epaxos.node.leaving import LINGER_S
from epaxos.node.transfers import Transfers
from epaxos.node.turns import Turns
from epaxos.node.versions import Versions
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.changes import Change, Move, Remove, Replace, changed
from epaxos.protocol.values.control import Candidate, Control, EpochIs, Standing
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.messages import (
    Batch,
    Commit,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    Read,
    Recover,
)
from epaxos.protocol.values.transfer import PieceAsk, StateOffer

ASKS_AGAIN_S = 0.5
UUID = 77
FIRST = Membership(UUID, 0, VERSION, (Member(0, 10), Member(1, 11), Member(2, 12)))
OPENED_BY = InstanceId(2, 4)
COMMITTED = (3, 3, 5)
AT_1 = {"number": 1, "opened_by": [2, 4], "behind": None}
BATCH = Batch((b"k",), (), b"k v", 1)


def members(number: int) -> Membership:
    return FIRST._replace(number=number)


def record_of(number: int) -> EpochRecord:
    return EpochRecord(members(number), members(number - 1), OPENED_BY, COMMITTED)


def committed(id: InstanceId) -> InstanceRecord:
    return InstanceRecord(id, Phase.COMMITTED, 0, 0, Value.PROPOSED, (0, 0, 0), None)


class Store:
    """Remembers what is held of epochs that have ended."""

    def __init__(self) -> None:
        self.persistent = True
        self.instances: dict[int, list[InstanceId]] = {}
        self.writes: list[WriteSet] = []
        self.given_back: list[int] = []
        self.looked = 0
        self.is_slow = False
        self.looking: list[Callable[[], None]] = []

    def held(
        self, epoch: int, after: InstanceId | None, limit: int, found: Callable[[list[InstanceId]], None]
    ) -> None:
        self.looked += 1
        ids = [id for id in self.instances.get(epoch, []) if after is None or id > after]
        if self.is_slow:
            self.looking.append(partial(found, ids[:limit]))
        else:
            found(ids[:limit])

    def give_back(self, epoch: int) -> None:
        self.given_back.append(epoch)

    def held_epochs(self) -> list[int]:
        return sorted(self.instances)

    def find(self, epoch: int, id: InstanceId) -> tuple[InstanceRecord, Batch] | None:
        return (committed(id), BATCH) if id in self.instances.get(epoch, []) else None

    def write(self, write_set: WriteSet, on_durable: Callable[[], None]) -> None:
        self.writes.append(write_set)
        on_durable()

    def dropped(self) -> list[tuple[int, int]]:
        """The epoch of each write, and the number of instances that it drops."""
        return [(write.epoch, len(write.dropped)) for write in self.writes if write.dropped]


class Transport:
    def __init__(self) -> None:
        self.controls: list[tuple[int, Control]] = []
        self.sent: list[tuple[int, list[tuple[int, Message]]]] = []
        self.known: list[Membership] = []

    def send(self, epoch: int, outgoing: Sequence[tuple[int, Message]]) -> None:
        self.sent.append((epoch, list(outgoing)))

    def send_control(self, replica: int, control: Control) -> bool:
        self.controls.append((replica, control))
        return True

    def version_of(self, replica: int) -> int:
        return VERSION

    def know(self, membership: Membership, previous: Membership | None = None) -> None:
        self.known.append(membership)

    def take(self) -> list[tuple[int, Control]]:
        """What was told since the last call."""
        controls, self.controls = self.controls, []
        return controls


def held(founded: Membership | None, record: EpochRecord | None = None) -> Restored:
    """What a store held with these first members, or with this newest epoch."""
    nothing = (0, 0, 0)
    return Restored(False, 0, nothing, nothing, (), (), (), (), record, 10, founded)


class Core:
    """As much of the core as the epochs see."""

    def __init__(self) -> None:
        self.heard: list[InstanceId] = []
        self.instances: dict[InstanceId, Any] = {}
        self.table = SimpleNamespace(
            committed=COMMITTED, claimed=COMMITTED, floor=(2, 3, 0), known=(4, 3, 5), find=self.instances.get
        )

    def receive(self, sender: int, message: Fetch) -> None:
        self.heard += message.ids


class RecordedTransfers:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.is_possible = True
        self.behind: int | None = None
        self.due = math.inf
        self.wanted: list[tuple[int, int, Sequence[tuple[int, int]]]] = []
        self.opened: list[int] = []
        self.controls: list[tuple[int, Control]] = []
        self.turns = 0

    def start(self, is_for_us: Callable[[StateOffer], bool]) -> None:
        self.is_for_us = is_for_us

    def status(self) -> None:
        return None

    def want(self, own: int, newest: Membership, sources: Sequence[tuple[int, int]]) -> None:
        self.wanted.append((own, newest.number, sources))

    def on_opened(self, number: int) -> None:
        self.opened.append(number)

    def on_control(self, sender: int, control: Control) -> None:
        self.controls.append((sender, control))

    def on_time(self) -> None:
        self.turns += 1


class RecordedTurns:
    strict = False

    def __init__(self) -> None:
        self.begun = self.safe = 0

    def on_begun(self, membership: Membership) -> None:
        self.begun += 1

    def on_safe(self, membership: Membership) -> None:
        self.safe += 1


class EpochsCase(SynchronousTestCase):
    n = 3

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.store = Store()
        self.transport = Transport()
        self.fake = Core()
        self.core = cast(Replica, self.fake)
        self.received: list[tuple[int, Sequence[Message]]] = []
        self.fatal: list[str] = []
        self.removed: list[str] = []
        self.epochs = self.new()
        self.epochs.restore(held(FIRST))

    def new(self) -> Epochs:
        self.following = Following(0, Epoch.first(self.n))
        self.candidates = Candidates(self.clock.seconds)
        self.turns = RecordedTurns()
        self.transfers = RecordedTransfers()
        transport = cast(ITransport, self.transport)
        self.outdated: list[str] = []
        return Epochs(
            0,
            self.following,
            self.candidates,
            cast(Turns, self.turns),
            cast(Transfers, self.transfers),
            Versions(0, transport, cast(IStateMachine, object()), self.outdated.append),
            cast(IStore, self.store),
            transport,
            self.clock.seconds,
            ASKS_AGAIN_S,
            lambda sender, messages: self.received.append((sender, messages)),
            self.fatal.append,
            self.removed.append,
        )

    def restarted(self, record: EpochRecord) -> Epochs:
        self.epochs = self.new()
        self.epochs.restore(held(record.membership, record))
        return self.epochs

    def end(self, durable: bool = True) -> EpochRecord:
        """The present epoch ends."""
        number = self.epochs.number
        self.store.instances.setdefault(number, [InstanceId(0, slot) for slot in range(1, 4)])
        record = self.epochs.end(OPENED_BY, members(number + 1), self.core)
        if durable:
            self.epochs.on_durable(number + 1)
        return record

    def told(self, sender: int, control: Control) -> None:
        self.epochs.on_control(sender, control, self.core)

    def follow(self, *senders: int) -> None:
        """These replicas have opened the present epoch, too."""
        for sender in senders:
            self.told(sender, Standing(self.epochs.number, self.epochs.number))

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.epochs.on_time()


class OpeningTests(EpochsCase):
    def test_the_record(self) -> None:
        record = self.end(durable=False)
        self.assertEqual(record, record_of(1))
        self.assertEqual((self.epochs.number, self.epochs.membership), (1, members(1)))
        self.assertEqual(self.transport.known, [members(1)])

    def test_others_rely_on_nothing_before_it_is_durable(self) -> None:
        self.end(durable=False)
        self.epochs.on_other_epoch(1, 0, [Recover(InstanceId(0, 1), 3)])
        self.told(1, Standing(0, 0, True))
        self.wait(ASKS_AGAIN_S)
        self.assertEqual((self.transport.sent, self.transport.take()), ([], []))
        self.epochs.on_durable(1)
        self.assertEqual(self.transport.take(), [(1, Standing(1, 1)), (2, Standing(1, 1))])

    def test_a_question_before_it_is_durable(self) -> None:
        """It is answered with the epoch that is."""
        self.end(durable=False)
        self.told(1, Standing(1, 1, True))
        self.assertEqual(self.transport.take(), [(1, Standing(0, 0))])

    def test_another_write_is_durable(self) -> None:
        self.end(durable=False)
        self.epochs.on_durable(0)
        self.assertEqual(self.transport.take(), [])
        self.assertFalse(self.following.is_settled)

    def test_operators_are_answered_when_it_is_safe(self) -> None:
        """At f+1 of 2f+1 members, not when it is durable here, nor at the last one."""
        self.end(durable=False)
        self.assertEqual(self.turns.begun, 1)
        self.follow(1)
        self.assertEqual(self.turns.safe, 0)
        self.epochs.on_durable(1)
        self.assertEqual(self.turns.safe, 1)
        self.assertFalse(self.following.is_settled)

    def test_what_an_installed_state_has_in_place_of_instances(self) -> None:
        """Not all that ran before the end is held: nobody is told that it could be fetched here."""
        self.fake.table.claimed = (3, 0, 5)
        self.store.instances = {0: [InstanceId(0, 1)]}
        record = self.end()
        self.assertEqual(record.committed, (0, 0, 0))
        self.transport.take()
        self.told(1, Standing(0, 0))
        self.assertEqual(self.transport.take(), [(1, EpochIs(members(1)))])
        self.epochs.on_other_epoch(1, 0, [Fetch((InstanceId(0, 1),))])
        self.assertEqual(self.transport.sent, [])
        self.wait(1)
        self.assertEqual(self.store.dropped(), [(0, 1)], "nobody needs it")

    def test_settled(self) -> None:
        self.assertTrue(self.following.is_settled)
        self.end()
        for replica in (1, 2):
            self.assertFalse(self.following.is_settled)
            self.assertEqual(
                self.epochs.status(),
                {"number": 1, "version": 1, "settled": False, "opened_by": [2, 4], "behind": None},
            )
            self.follow(replica)
        self.assertTrue(self.following.is_settled)
        self.assertEqual(
            self.epochs.status(),
            {"number": 1, "version": 1, "settled": True, "opened_by": [2, 4], "behind": None},
        )

    def test_an_old_standing_takes_nothing_back(self) -> None:
        self.end()
        self.follow(1, 2)
        self.told(1, Standing(0, 0))
        self.assertTrue(self.following.is_settled)

    def test_a_member_alone(self) -> None:
        self.n = 1
        self.epochs = self.new()
        alone = FIRST._replace(members=FIRST.members[:1])
        self.epochs.restore(held(alone))
        self.epochs.end(OPENED_BY, alone.successor(), self.core)
        self.assertEqual(self.turns.safe, 0)
        self.epochs.on_durable(1)
        self.assertEqual(self.turns.safe, 1)
        self.assertTrue(self.following.is_settled)
        self.assertEqual(self.transport.take(), [])

    def test_at_first(self) -> None:
        self.assertEqual(
            self.epochs.status(),
            {"number": 0, "version": 1, "settled": True, "opened_by": None, "behind": None},
        )
        self.assertEqual(self.epochs.due, math.inf)
        self.epochs.on_time()
        self.assertEqual(self.transport.take(), [])


class OtherEpochTests(EpochsCase):
    def test_the_epoch_before(self) -> None:
        """Who is behind gets what it needs, and is told the end where a vote would be needed."""
        self.end()
        self.transport.take()
        known, unknown = InstanceId(0, 1), InstanceId(0, 9)
        self.epochs.on_other_epoch(1, 0, [Fetch((known,)), Recover(unknown, 3)])
        commit = Commit(known, 0, BATCH, (0, 0, 0))
        self.assertEqual(self.transport.sent, [(0, [(1, commit)])])
        told = EpochIs(members(1), OPENED_BY, members(0))
        self.assertEqual(self.transport.take(), [(1, told)])
        self.epochs.on_other_epoch(1, 0, [Fetch((known,))])
        self.assertEqual(self.transport.take(), [])

    def test_one_who_has_followed_is_not_answered(self) -> None:
        """What it said in the epoch before is late.  It would answer the answer."""
        self.end()
        beat = Heartbeat((0, 0, 0), (0, 0, 0))
        self.epochs.on_other_epoch(1, 0, [beat])
        self.assertEqual([epoch for epoch, _ in self.transport.sent], [0])
        self.follow(1)
        self.transport.sent.clear()
        self.transport.take()
        self.epochs.on_other_epoch(1, 0, [beat, Fetch((InstanceId(0, 1),)), Recover(InstanceId(0, 9), 3)])
        self.assertEqual((self.transport.sent, self.transport.take()), ([], []))
        self.epochs.on_other_epoch(2, 0, [beat])
        self.assertEqual([epoch for epoch, _ in self.transport.sent], [0])

    def test_the_epoch_before_in_memory(self) -> None:
        """The core of that epoch holds what a disk would."""
        self.store.persistent = False
        id = InstanceId(1, 2)
        self.fake.instances[id] = SimpleNamespace(record=lambda: committed(id), cmd=BATCH)
        self.end()
        self.epochs.on_other_epoch(2, 0, [Fetch((id, InstanceId(1, 3)))])
        self.assertEqual(self.transport.sent, [(0, [(2, Commit(id, 0, BATCH, (0, 0, 0)))])])
        self.follow(1, 2)
        self.wait(1)
        self.assertEqual(self.store.writes, [], "there is nothing to delete")

    def test_an_epoch_that_nobody_needs(self) -> None:
        self.end()
        self.follow(1, 2)
        self.transport.take()
        self.epochs.on_other_epoch(1, 0, [Read(1, (b"k",))])
        self.assertEqual(self.transport.sent, [])
        self.assertEqual(self.transport.take(), [(1, EpochIs(members(1), is_safe=True))])

    def test_the_next_epoch_is_kept(self) -> None:
        frames = [(sender, [Recover(InstanceId(0, sender), 3)]) for sender in (1, 2, 1)]
        for sender, messages in frames:
            self.epochs.on_other_epoch(sender, 1, messages)
        self.wait(1)
        self.assertEqual(self.received, [])
        self.end(durable=False)
        self.epochs.on_time()
        self.assertEqual(self.received, frames, "in their order, once")
        self.wait(1)
        self.assertEqual(self.received, frames)

    def test_what_is_kept_is_bounded(self) -> None:
        for number in range(EARLY_FRAMES_MAX + 10):
            self.epochs.on_other_epoch(1, 1, [Recover(InstanceId(0, number + 1), 3)])
        self.end()
        self.epochs.on_time()
        slots = [message.id.slot for _, messages in self.received for message in messages]  # type: ignore[union-attr]
        self.assertEqual(slots, list(range(11, EARLY_FRAMES_MAX + 11)), "the oldest are dropped")

    def test_later_epochs_are_not_kept(self) -> None:
        self.epochs.on_other_epoch(1, 2, [Recover(InstanceId(0, 1), 3)])
        self.assertEqual(self.transport.take(), [(1, Standing(0, 0, True))])
        self.end()
        self.follow(1, 2)
        self.end()
        self.epochs.on_time()
        self.assertEqual(self.received, [])

    def test_how_often_it_asks(self) -> None:
        """Each replica once, until it had time to answer."""
        for _ in range(5):
            for sender in (1, 2):
                self.epochs.on_other_epoch(sender, 1, [])
        self.assertEqual(self.transport.take(), [(1, Standing(0, 0, True)), (2, Standing(0, 0, True))])
        self.clock.advance(ASKS_AGAIN_S - 0.01)
        self.epochs.on_other_epoch(1, 1, [])
        self.assertEqual(self.transport.take(), [])
        self.clock.advance(0.02)
        self.epochs.on_other_epoch(1, 1, [])
        self.assertEqual(self.transport.take(), [(1, Standing(0, 0, True))])

    def test_those_who_have_not_followed_are_asked_again(self) -> None:
        self.end()
        self.follow(1)
        self.transport.take()
        asked = []
        for _ in range(30):
            self.wait(ASKS_AGAIN_S / 10)
            asked += self.transport.take()
        self.assertEqual(set(asked), {(2, Standing(1, 1, True))})
        self.assertIn(len(asked), (3, 4))
        self.follow(2)
        self.wait(1)
        self.wait(1)
        self.assertEqual(self.transport.take(), [])
        self.assertEqual(self.epochs.due, math.inf)


class ControlTests(EpochsCase):
    def test_one_who_is_behind_is_told(self) -> None:
        self.end()
        self.transport.take()
        self.told(1, Standing(0, 0))
        self.assertEqual(self.transport.take(), [(1, EpochIs(members(1), OPENED_BY, members(0)))])

    def test_one_who_is_ahead_is_asked(self) -> None:
        self.told(1, Standing(1, 1))
        self.assertEqual(self.transport.take(), [(1, Standing(0, 0, True))])

    def test_a_question(self) -> None:
        self.told(1, Standing(0, 0, True))
        self.assertEqual(self.transport.take(), [(1, Standing(0, 0))])
        self.told(1, Standing(0, 0))
        self.assertEqual(self.transport.take(), [], "or both would ask for ever")

    def test_the_next_epoch(self) -> None:
        self.told(1, EpochIs(members(1), OPENED_BY, members(0)))
        self.assertEqual(self.fake.heard, [OPENED_BY])
        self.assertEqual(self.fatal, [])

    def test_the_next_epoch_without_the_instance(self) -> None:
        """Its sender does not hold what would be needed to get there."""
        self.told(1, EpochIs(members(1)))
        self.assertEqual((self.fake.heard, self.fatal), ([], []))
        self.assertEqual(self.transfers.wanted, [(0, 1, [(1, 11)])])

    def test_a_later_epoch(self) -> None:
        """Who is further ahead is asked first."""
        self.told(1, EpochIs(members(2), OPENED_BY, members(1)))
        self.told(2, EpochIs(members(3), OPENED_BY, members(2)))
        self.assertEqual(self.fake.heard, [])
        self.assertEqual(self.transfers.wanted, [(0, 2, [(1, 11)]), (0, 3, [(2, 12), (1, 11)])])
        self.assertEqual(self.fatal, [])

    def test_a_later_epoch_when_nothing_can_be_transferred(self) -> None:
        self.transfers.is_possible = False
        self.told(1, EpochIs(members(1)))
        self.assertEqual(self.fatal, [])
        self.told(1, EpochIs(members(2), OPENED_BY, members(1)))
        self.assertEqual(
            self.fatal,
            [
                "replica 1 is in epoch 2, and this replica in epoch 0: its data is older than what it has"
                " said to the others"
            ],
        )
        self.assertEqual(self.transfers.wanted, [])

    def test_a_later_version(self) -> None:
        """Nothing is taken that this program may not understand."""
        self.told(1, EpochIs(members(2)._replace(version=VERSION + 1)))
        (text,) = self.outdated
        self.assertEqual(
            text,
            f"epoch 2 is of version {VERSION + 1}, and this program knows version {VERSION}: upgrade replica"
            " 0, and start it again",
        )
        self.assertEqual(self.fatal, [])
        self.assertEqual(self.transfers.wanted, [])

    def test_questions_about_states(self) -> None:
        ask = PieceAsk(1, True, 0, 10)
        self.transfers.due = self.clock.seconds() + 3
        self.told(2, ask)
        self.assertEqual(self.transfers.controls, [(2, ask)])
        self.assertEqual(self.epochs.due, self.transfers.due)
        self.wait(3)
        self.assertEqual(self.transfers.turns, 1)

    def test_it_got_there_by_itself(self) -> None:
        self.told(1, EpochIs(members(2)))
        self.end()
        self.assertEqual(self.transfers.opened, [1])

    def test_what_says_nothing_new(self) -> None:
        self.end()
        for number in (0, 1):
            self.told(1, EpochIs(members(number), OPENED_BY, members(0)))
        for number in (2, 3):
            stranger = members(number)._replace(uuid=UUID + 1)
            self.told(1, EpochIs(stranger, OPENED_BY, members(1)))
        self.assertEqual((self.fake.heard, self.fatal), ([], []))

    def test_before_the_first_list_is_known(self) -> None:
        self.epochs = self.new()
        self.epochs.restore(held(None))
        self.told(1, EpochIs(members(1), OPENED_BY, members(0)))
        self.assertEqual(self.fake.heard, [OPENED_BY])


class RestoreTests(EpochsCase):
    def test_while_the_epoch_before_is_held(self) -> None:
        """Somebody may need it, so this replica asks before it deletes anything."""
        self.store.instances = {1: [InstanceId(0, 1)]}
        epochs = self.restarted(record_of(2))
        self.assertEqual((epochs.number, epochs.membership), (2, members(2)))
        self.assertFalse(self.following.is_settled)
        self.assertLessEqual(epochs.due, self.clock.seconds())
        epochs.on_time()
        self.assertEqual(self.transport.take(), [(1, Standing(2, 2, True)), (2, Standing(2, 2, True))])
        epochs.on_other_epoch(1, 1, [Fetch((InstanceId(0, 1),))])
        commit = Commit(InstanceId(0, 1), 0, BATCH, (0, 0, 0))
        self.assertEqual(self.transport.sent, [(1, [(1, commit)])])
        self.follow(1, 2)
        self.wait(1)
        self.assertEqual(self.store.dropped(), [(1, 1)])

    def test_when_the_epoch_before_is_deleted(self) -> None:
        """It was settled, or this replica has taken a state: it does not know who has followed."""
        self.restarted(record_of(2))
        self.assertFalse(self.following.is_settled)
        self.epochs.on_time()
        self.assertEqual(self.transport.take(), [(1, Standing(2, 2, True)), (2, Standing(2, 2, True))])
        self.told(1, Standing(1, 1))
        self.assertEqual(self.transport.take(), [(1, EpochIs(members(2)))])
        self.follow(1, 2)
        self.assertTrue(self.following.is_settled)

    def test_after_a_state_was_taken(self) -> None:
        """What is held of earlier epochs is of no use: not of the one before, either."""
        self.store.instances = {epoch: [InstanceId(0, 1)] for epoch in (0, 3)}
        self.restarted(record_of(4)._replace(committed=(0, 0, 0)))
        for _ in range(5):
            self.wait(ASKS_AGAIN_S)
        self.assertEqual(self.store.dropped(), [(0, 1), (3, 1)])
        self.told(1, Standing(3, 3))
        self.assertIn((1, EpochIs(members(4))), self.transport.take())

    def test_in_epoch_0(self) -> None:
        self.store.instances = {0: [InstanceId(0, 1)]}
        self.epochs = self.new()
        self.epochs.restore(held(FIRST))
        self.assertEqual((self.epochs.number, self.following.is_settled), (0, True))
        self.wait(1)
        self.assertEqual(self.store.writes, [])

    def test_the_store_looks_for_long(self) -> None:
        """It is asked once, and nothing is deleted twice."""
        self.store.instances = {1: [InstanceId(0, slot) for slot in range(1, DROPPED_AT_ONCE + 2)]}
        self.store.is_slow = True
        self.restarted(record_of(4))
        for _ in range(5):
            self.wait(ASKS_AGAIN_S)
        self.assertEqual((self.store.looked, self.store.dropped()), (1, []))
        self.store.looking.pop()()
        self.assertEqual(self.store.dropped(), [(1, DROPPED_AT_ONCE)])
        self.wait(DROP_EVERY_S * 1.01)
        self.store.looking.pop()()
        self.assertEqual(self.store.dropped(), [(1, DROPPED_AT_ONCE), (1, 1)])
        self.assertEqual((self.store.looked, self.store.given_back), (2, [1]))

    def test_what_it_could_not_delete_before(self) -> None:
        """It goes on with the oldest, and leaves the epoch that somebody may need."""
        self.store.instances = {epoch: [InstanceId(0, 1)] * (epoch + 1) for epoch in (1, 2, 3)}
        self.restarted(record_of(4))
        for _ in range(5):
            self.wait(ASKS_AGAIN_S)
        self.assertEqual(self.store.dropped(), [(1, 2), (2, 3)])
        self.assertFalse(self.following.is_settled)


class DroppingTests(EpochsCase):
    def fill(self, count: int) -> list[InstanceId]:
        """The present epoch has `count` instances, and has forgotten many before them."""
        ids = [InstanceId(0, slot) for slot in range(101, count + 101)]
        self.store.instances[self.epochs.number] = ids
        self.fake.table.floor, self.fake.table.known = (100, 3, 7), (count + 100, 3, 7)
        return ids

    def test_in_steps(self) -> None:
        ids = self.fill(2 * DROPPED_AT_ONCE + 7)
        self.end()
        self.follow(1)
        self.wait(1)
        self.assertEqual(self.store.writes, [], "one needs it")
        self.follow(2)
        self.epochs.on_time()
        self.assertEqual(self.store.dropped(), [(0, DROPPED_AT_ONCE)])
        self.assertAlmostEqual(self.epochs.due, self.clock.seconds() + DROP_EVERY_S)
        self.wait(DROP_EVERY_S / 2)
        self.assertEqual(len(self.store.writes), 1, "others may work meanwhile")
        for _ in range(5):
            self.wait(DROP_EVERY_S * 1.01)
        self.assertEqual(self.store.dropped(), [(0, DROPPED_AT_ONCE), (0, DROPPED_AT_ONCE), (0, 7)])
        self.assertEqual([id for write in self.store.writes for id in write.dropped], ids)
        self.assertEqual(self.store.given_back, [0])
        self.assertEqual(self.epochs.due, math.inf)
        self.assertEqual(self.store.looked, 0, "LevelDB would walk over all that were forgotten")

    def test_every_row(self) -> None:
        self.fake.table.floor, self.fake.table.known = (2, 3, 0), (4, 3, 1)
        self.end()
        self.follow(1, 2)
        self.wait(1)
        (write,) = self.store.writes
        self.assertEqual(write.dropped, [InstanceId(0, 3), InstanceId(0, 4), InstanceId(2, 1)])

    def test_a_whole_number_of_steps(self) -> None:
        self.fill(DROPPED_AT_ONCE)
        self.end()
        self.follow(1, 2)
        for _ in range(5):
            self.wait(DROP_EVERY_S * 1.01)
        self.assertEqual(self.store.dropped(), [(0, DROPPED_AT_ONCE)])
        self.assertEqual(self.epochs.due, math.inf)

    def test_several_epochs(self) -> None:
        """The next turns do not wait for the deletion; each epoch is deleted from its beginning."""
        counts = (DROPPED_AT_ONCE + 2, 3, DROPPED_AT_ONCE + 1)
        for count in counts:
            self.fill(count)
            self.end()
            self.follow(1, 2)
        for _ in range(10):
            self.wait(DROP_EVERY_S * 1.01)
        self.assertEqual(
            self.store.dropped(), [(0, DROPPED_AT_ONCE), (0, 2), (1, 3), (2, DROPPED_AT_ONCE), (2, 1)]
        )
        self.assertEqual(self.store.given_back, [0, 1, 2])

    def test_two_turns_before_the_first_is_durable(self) -> None:
        """What the disk does not hold yet is deleted, too."""
        self.fill(2)
        self.end(durable=False)
        ids, self.store.instances[0] = self.store.instances[0], []
        self.end(durable=False)
        self.wait(DROP_EVERY_S)
        self.store.instances[0] = ids
        self.epochs.on_durable(1)
        self.wait(DROP_EVERY_S)
        self.assertEqual(self.store.writes, [])
        self.epochs.on_durable(2)
        self.wait(DROP_EVERY_S)
        self.assertEqual(self.store.dropped(), [(0, 2)])

    def test_a_turn_before_this_replica_knows_that_all_have_followed(self) -> None:
        """Whoever has not followed takes a state; what was closed is deleted then."""
        self.fill(3)
        self.end()
        self.end()
        self.epochs.on_time()
        self.assertEqual(self.store.dropped(), [(0, 3)])
        self.assertFalse(self.following.is_settled)


NEW = Member(5, 15)


class MembersTests(EpochsCase):
    """Epochs with other members."""

    def change(self, change: Change, durable: bool = True) -> Membership:
        """The present epoch ends, and the next one has other members."""
        present = self.epochs.membership
        assert present is not None
        membership = changed(present, change).successor()
        self.epochs.end(OPENED_BY, membership, self.core)
        if durable:
            self.epochs.on_durable(membership.number)
        return membership

    def test_who_is_asked_and_told(self) -> None:
        """The members of the new epoch, by their numbers; and told is who was removed, too."""
        membership = self.change(Replace(1, NEW))
        told = [(2, Standing(1, 1)), (5, Standing(1, 1)), (1, Standing(1, 1))]
        self.assertEqual(self.transport.take(), told)
        self.wait(ASKS_AGAIN_S)
        self.assertEqual(self.transport.take(), [(2, Standing(1, 1, True)), (5, Standing(1, 1, True))])
        self.assertEqual(self.epochs.outside, "")
        self.follow(1)
        self.assertFalse(self.following.is_safe)
        self.follow(5)
        self.assertTrue(self.following.is_safe)
        self.follow(2)
        self.assertEqual(self.transport.known, [membership, membership])
        self.assertEqual(list(self.epochs.past), [membership])

    def test_who_was_removed_goes_on_until_it_is_safe(self) -> None:
        self.change(Remove(0), durable=False)
        self.assertEqual(self.epochs.outside, "CLUSTERDOWN this replica is not a member any more")
        self.follow(1, 2)
        self.wait(0)
        self.assertEqual(self.removed, [], "what it holds may be lost yet")
        self.epochs.on_durable(1)
        self.wait(0)
        self.assertEqual(self.removed, ["replica 0 is not a member of epoch 1, which is safe"])

    def test_it_goes_on_for_a_while_for_those_who_take_its_state(self) -> None:
        self.change(Replace(0, NEW))
        self.follow(1, 2)
        self.wait(LINGER_S - 0.1)
        self.assertEqual(self.removed, [])
        self.follow(1)  # it does not begin anew
        self.wait(0.1)
        self.assertEqual(len(self.removed), 1)
        self.wait(LINGER_S)
        self.assertEqual(len(self.removed), 1)

    def test_it_goes_when_nobody_needs_it(self) -> None:
        self.change(Replace(0, NEW))
        self.follow(1, 2)
        self.follow(5)
        self.wait(0)
        self.assertEqual(len(self.removed), 1)

    def test_it_answers_and_is_asked_meanwhile(self) -> None:
        membership = self.change(Remove(0))
        self.transport.take()
        self.epochs.on_other_epoch(1, 0, [Recover(InstanceId(0, 9), 3)])
        self.assertEqual(self.transport.take(), [(1, EpochIs(membership, OPENED_BY, FIRST))])
        self.epochs.on_other_epoch(1, 1, [Recover(InstanceId(0, 9), 3)])
        self.assertEqual(self.transport.take(), [], "it is no member of that one")
        self.follow(1)
        self.wait(0)
        self.assertEqual(self.removed, [])
        self.follow(2)
        self.wait(0)
        self.assertEqual(len(self.removed), 1)

    def test_it_was_removed_and_starts_again(self) -> None:
        record = record_of(1)._replace(membership=changed(FIRST, Remove(0)).successor())
        self.restarted(record)
        self.assertNotEqual(self.epochs.outside, "")
        self.wait(0)
        self.assertEqual(self.transport.take(), [(1, Standing(1, 1, True)), (2, Standing(1, 1, True))])
        self.follow(1, 2)
        self.wait(0)
        self.assertEqual(len(self.removed), 1)

    def test_it_hears_of_an_epoch_without_it(self) -> None:
        """It goes on in its own until that one is safe; if R is told, it runs R."""
        without = changed(FIRST, Remove(0)).successor()
        self.told(1, EpochIs(without))
        self.assertEqual((self.removed, self.transfers.wanted), ([], []))
        self.told(1, EpochIs(without, OPENED_BY, FIRST, True))
        self.assertEqual((self.removed, self.fake.heard), ([], [OPENED_BY]))
        self.told(1, EpochIs(without, is_safe=True))
        self.assertEqual(self.removed, ["replica 0 is not a member any more: see epoch 1"])

    def test_a_later_epoch_says_that_the_next_one_is_safe(self) -> None:
        self.told(1, EpochIs(changed(FIRST, Remove(0))._replace(number=2)))
        self.assertEqual(len(self.removed), 1)

    def test_it_was_removed_and_hears_of_a_later_epoch(self) -> None:
        self.change(Remove(0))
        later = changed(changed(FIRST, Remove(0)), Remove(2))._replace(number=2)
        self.told(1, EpochIs(later, OPENED_BY, later._replace(number=1)))
        self.assertEqual((len(self.removed), self.fake.heard), (1, []))

    def test_r_of_somebody_who_is_no_member(self) -> None:
        """Nothing of this epoch can be fetched there."""
        named = changed(FIRST, Replace(1, NEW)).successor()
        self.told(5, EpochIs(named, OPENED_BY, FIRST))
        self.assertEqual((self.fake.heard, self.transfers.wanted), ([], [(0, 1, [(5, 15)])]))
        self.assertEqual(self.transport.known, [named])

    def test_links_to_those_who_give_the_state_stay(self) -> None:
        """The present epoch was settled long ago; that is of no interest any more."""
        present = self.change(Replace(1, NEW))
        self.follow(2, 5)
        self.transport.known.clear()
        newest = changed(present, Replace(2, Member(6, 16)))._replace(number=4)
        self.told(6, EpochIs(newest))
        self.told(6, Standing(4, 4))
        self.follow(5)
        self.assertEqual(self.transport.known, [newest])

    def test_who_was_just_removed_can_give_the_state(self) -> None:
        named = changed(FIRST, Remove(1))._replace(number=3)
        self.told(1, EpochIs(named, OPENED_BY, FIRST._replace(number=2)))
        self.assertEqual(self.transfers.wanted, [(0, 3, [(1, 11)])])

    def test_only_a_state_that_names_it_is_for_it(self) -> None:
        for change, is_for_us in ((Remove(1), True), (Remove(0), False)):
            offer = StateOffer(changed(FIRST, change).successor(), OPENED_BY, FIRST, (0,), (), ())
            self.assertIs(self.transfers.is_for_us(offer), is_for_us)

    def test_frames_that_were_read_by_other_rows(self) -> None:
        self.epochs.on_other_epoch(1, 1, [Read(1, (b"k",))])
        self.change(Remove(2))
        self.wait(0)
        self.assertEqual(self.received, [])
        self.epochs.on_other_epoch(1, 2, [Read(2, (b"k",))])
        self.change(Move(1, "tcp:there"))
        self.wait(0)
        self.assertEqual(self.received, [(1, [Read(2, (b"k",))])])

    def test_a_candidate(self) -> None:
        """It is told where this replica is, in epoch 0 as well, and is remembered."""
        self.told(NEW.number, Candidate(NEW, 3))
        self.assertEqual(self.transport.take(), [(NEW.number, EpochIs(FIRST, is_safe=True))])
        self.assertEqual(self.candidates.all(), [Candidate(NEW, 3)])
        self.told(NEW.number + 1, Candidate(NEW._replace(uid=99), 0))
        self.assertEqual(self.candidates.all(), [Candidate(NEW, 3)], "nobody else speaks for it")
        self.assertTrue(self.following.is_settled)

    def test_a_guest_is_told_at_once(self) -> None:
        membership = self.change(Remove(2))
        self.transport.take()
        self.epochs.on_connection(1, True)
        self.assertEqual(self.transport.take(), [])
        self.epochs.on_connection(2, True)
        self.assertEqual(self.transport.take(), [(2, EpochIs(membership, OPENED_BY, FIRST))])

    def test_one_that_joins(self) -> None:
        self.epochs = self.new()
        self.epochs.restore(held(None), Member(0, 0, "tcp:here"))
        self.assertEqual(self.epochs.outside, "CLUSTERDOWN this replica is not a member yet")
        self.epochs.on_connection(1, True)
        self.assertEqual(self.transport.take(), [(1, Candidate(Member(0, 10, "tcp:here"), None))])
        self.epochs.on_other_epoch(1, 3, [Read(1, (b"k",))])
        self.told(1, Standing(3, 3, True))
        self.assertEqual(self.transport.take(), [], "it belongs to no epoch")
        assert self.epochs.joining is not None

    def test_one_that_is_a_member_does_not_join(self) -> None:
        for founded, record in ((FIRST, None), (members(1), record_of(1))):
            self.epochs = self.new()
            self.epochs.restore(held(founded, record), Member(0, 0))
            self.assertEqual((self.epochs.joining, self.epochs.outside), (None, ""))
