"""The chain of epochs at one replica: which one it works in, and what it and the others do to follow.

An epoch ends with the first instance in the order of execution that opens the next one, with the same or
with other members.  Who has not reached the end of an epoch finds what it missed in what the others keep of
that epoch; who is further behind takes the state of another member (docs: protocol/epochs).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.logger import Logger

from epaxos.interfaces import EpochRecord, IStore, ITransport, Restored
from epaxos.node.candidates import Candidates
from epaxos.node.closed_epoch import ClosedEpoch
from epaxos.node.dropping import DROP_EVERY_S, Dropping
from epaxos.node.following import Following
from epaxos.node.joining import Joining
from epaxos.node.leaving import Leaving
from epaxos.node.transfers import Transfers
from epaxos.node.turns import Turns
from epaxos.node.versions import Versions
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.control import Candidate, Control, EpochIs, Standing
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import Fetch, Message
from epaxos.protocol.values.transfer import StateOffer

__all__ = ["Epochs"]

_log = Logger()

EARLY_FRAMES_MAX = 256
"""Frames of the next epoch that are kept until this replica opens it, too; the oldest are dropped."""
ASKED_MAX = 1000
"""Replicas of which it is remembered when they were asked: as many as a list may have members."""
NOT_YET = "CLUSTERDOWN this replica is not a member yet"
NOT_ANY_MORE = "CLUSTERDOWN this replica is not a member any more"
PAST_MAX = 100
"""Lists of members that this replica has seen begin, which are kept for people."""


class Epochs:
    """The epochs of replica `id`, from epoch 0 on; `following` says which one it is, and who has opened it.

    `asks_again_s`: the time between two questions to a replica that has not answered.  `receive(sender,
    messages)` takes messages of the present epoch.  `fatal(text)` is called when this replica must stop, and
    `removed(text)` when it is no member any more and nobody needs it, or can never become one.
    """

    def __init__(
        self,
        id: int,
        following: Following,
        candidates: Candidates,
        turns: Turns,
        transfers: Transfers,
        versions: Versions,
        store: IStore,
        transport: ITransport,
        now: Callable[[], float],
        asks_again_s: float,
        receive: Callable[[int, Sequence[Message]], None],
        fatal: Callable[[str], None],
        removed: Callable[[str], None],
    ) -> None:
        self.membership: Membership | None = None
        self.past: deque[Membership] = deque(maxlen=PAST_MAX)
        self.joining: Joining | None = None
        """Set while this replica is not a member yet."""
        self.outside = ""
        """What clients are told of a replica that is not a member; "" of a member."""
        self.due = math.inf
        """When `on_time` has to be called next, on the clock of `ITimeoutService`."""
        self._id = id
        self._following = following
        self._candidates = candidates
        self._turns = turns
        self._transfers = transfers
        self._versions = versions
        self._store = store
        self._transport = transport
        self._now = now
        self._asks_again_s = asks_again_s
        self._receive = receive
        self._fatal = fatal
        self._removed = removed
        self._record: EpochRecord | None = None
        self._closed: ClosedEpoch | None = None
        self._closed_slots: tuple[Deps, Deps] | None = None  # what may be held of it: above, and up to
        self._dropping = Dropping(store)
        self._asked_at: dict[int, float] = {}
        self._early: deque[tuple[int, int, Sequence[Message]]] = deque(maxlen=EARLY_FRAMES_MAX)
        self._leaving = Leaving(now, removed)
        self._linked: tuple[Membership | None, Membership | None] = (None, None)  # what the transport knows

    # -- where this replica is

    @property
    def number(self) -> int:
        """The number of the present epoch."""
        return self._following.number

    def status(self) -> dict[str, Any]:
        """What `GET /status` shows."""
        return {
            "number": self.number,
            "version": self._versions.now,
            "settled": self._following.is_settled,
            "opened_by": None if self._record is None else list(self._record.opened_by),
            "behind": self._transfers.status(),
        }

    def restore(self, restored: Restored, joins: Member | None = None) -> None:
        """Restore what the store held: the first members, and how the newest epoch began.

        `joins`: this replica, and where it is; it joins a cluster if the store has never held an epoch.
        """
        record = restored.opened
        self.membership = restored.founded
        self.past.extend(restored.past)
        if joins is not None and restored.founded is None:
            member = joins._replace(uid=restored.uid)
            self.outside = NOT_YET
            parts = self._transfers, self._transport, self._versions
            self.joining = Joining(member, *parts, self._now, self._removed)
        self._transfers.start(self._is_for_us)
        self._turns.strict = not self._transfers.is_possible
        if record is None:
            self.due = math.inf if self.joining is None else self._now()
            return
        self._record = record
        self._move(record.membership)
        self._following.on_durable()
        held = self._store.held_epochs()
        previous = record.previous.number
        if previous in held and _holds_all(record):
            held.remove(previous)
            self._close(record, partial(self._store.find, previous))
        self._dropping.add(held)
        self.due = self._now()

    def _is_for_us(self, offer: StateOffer) -> bool:
        """Whether this replica is a member of the epoch of which a state is offered."""
        if self.joining is not None:
            return self.joining.is_for_us(offer)
        return offer.membership.find(self._id) is not None

    def on_started(self) -> None:
        """The transport runs."""
        if self._record is not None:
            self._know(self._record.membership, self._record.previous)

    def _know(self, membership: Membership, previous: Membership | None) -> None:
        """Have links to the members of these lists."""
        self._linked = membership, previous
        self._transport.know(membership, previous)

    def end(self, id: InstanceId, successor: Membership, core: Replica) -> EpochRecord:
        """The epoch ends here with `id`, and `successor` begins.  What has to be written before anything
        else of it."""
        previous = self.membership
        if previous is None:
            before = successor.number - 1
            previous = successor._replace(number=before, version=self._versions.now, why="", at=0)
        self._leave_closed()
        claimed = core.table.claimed
        holds_all = claimed == core.table.committed
        record = EpochRecord(successor, previous, id, claimed if holds_all else no_deps(previous.epoch))
        self._record = record
        self._move(successor)
        self.past.append(successor)
        self._know(successor, previous)
        if successor.epoch.n != previous.epoch.n:
            self._early.clear()  # they were read by the rows of the epoch before
        self._closed_slots = core.table.floor, core.table.known
        if not holds_all:
            self._dropping.add([previous.number])
        elif self._store.persistent:
            self._close(record, partial(self._store.find, previous.number))
        else:
            self._close(record, partial(_in_memory, core))
        self._turns.on_begun(successor)
        self._transfers.on_opened(self.number)
        self.due = self._now()
        _log.info(
            "replica {id} opens epoch {number}: epoch {before} ended with instance {instance}",
            id=self._id,
            number=self.number,
            before=previous.number,
            instance=str(id),
        )
        return record

    def _move(self, membership: Membership) -> None:
        self.membership = membership
        self._following.move(membership.epoch)
        self.outside = "" if self._following.is_member else NOT_ANY_MORE

    def _close(self, record: EpochRecord, find: Callable[[InstanceId], Any]) -> None:
        self._closed = ClosedEpoch(record.previous, record.committed, find)

    def on_durable(self, number: int) -> None:
        """The beginning of epoch `number` is durable here: the others may rely on it."""
        if number == self.number:
            self._following.on_durable()
            for replica in self._following.listeners:
                self._transport.send_control(replica, Standing(number, number))
            self._look()

    # -- what arrives

    def on_connection(self, replica: int, is_there: bool) -> None:
        """There is a connection with a replica, or none any more.

        Who is no member is told at once where this one is: it may have slept while it was replaced, and may
        find nobody whom it knows, and could ask.
        """
        if self.joining is not None:
            self.joining.on_connection(replica, is_there)
        elif is_there and replica not in self._following.members:
            self._tell_epoch(replica)

    def on_other_epoch(self, sender: int, epoch: int, messages: Sequence[Message]) -> None:
        """Messages of another epoch than this replica's have arrived, or of one that it is no member of."""
        closed, following = self._closed, self._following
        if self.joining is not None or epoch == self.number:
            return
        if epoch > self.number:
            if epoch == self.number + 1:
                self._early.append((epoch, sender, messages))
            self._ask(sender)
        elif closed is not None and epoch == closed.number:
            is_behind = following.opened(sender) < self.number
            if is_behind and following.is_durable:  # two that are not would answer each other for ever
                answers, has_ended = closed.answer(messages)
                if answers:
                    self._transport.send(epoch, [(sender, answer) for answer in answers])
                if has_ended:
                    self._tell_epoch(sender)
        else:
            self._tell_epoch(sender)

    def _ask(self, replica: int) -> None:
        """Ask which epoch is the newest, unless that was asked just now."""
        now = self._now()
        if now - self._asked_at.get(replica, -math.inf) >= self._asks_again_s:
            if len(self._asked_at) > ASKED_MAX:
                self._asked_at.clear()
            self._asked_at[replica] = now
            self._transport.send_control(replica, self._standing(asks=True))

    def _standing(self, asks: bool) -> Standing:
        return Standing(self._following.own, self._following.own, asks)

    def _tell_epoch(self, replica: int) -> None:
        """Tell a replica that is behind which epoch this one is in, and how to get there."""
        membership, record, is_safe = self.membership, self._record, self._following.is_safe
        if membership is None or not self._following.is_durable:
            return
        told = EpochIs(membership, is_safe=is_safe)
        if record is not None and self._closed is not None:
            told = EpochIs(membership, record.opened_by, record.previous, is_safe)
        self._transport.send_control(replica, told)

    def on_control(self, sender: int, control: Control, core: Replica) -> None:
        """A replica tells about epochs.  `core`: that of the present epoch."""
        if isinstance(control, (Standing, Candidate)):
            if self.joining is None:
                self._on_asked(sender, control)
        elif isinstance(control, EpochIs):
            if self.joining is not None:
                self.joining.on_epoch_is(control)
            else:
                self._on_epoch_is(sender, control, core)
        else:
            self._transfers.on_control(sender, control)
        self.due = min(self.due, self._transfers.due)

    def _on_asked(self, sender: int, asked: Standing | Candidate) -> None:
        """A replica says where it is, so that it is told where this one is."""
        if isinstance(asked, Candidate):
            if asked.member.number == sender:  # nobody else speaks for it, who might name another folder
                self._candidates.on_candidate(asked)
            self._tell_epoch(sender)
            return
        self._following.on_opened(sender, asked.installed)
        if asked.epoch < self.number:
            self._tell_epoch(sender)
        elif asked.epoch > self.number:
            self._ask(sender)
        elif asked.asks:
            self._transport.send_control(sender, self._standing(asks=False))
        self._look()

    def _on_epoch_is(self, sender: int, told: EpochIs, core: Replica) -> None:
        """`sender` is in a later epoch: find the instance that opened it, or take the state.

        Raises nothing when `sender` is behind, or of another cluster.
        """
        following, mine, newest = self._following, self.membership, told.membership
        is_foreign = mine is not None and mine.uuid != newest.uuid
        if newest.number <= self.number or is_foreign or self._versions.is_outdated(newest):
            return
        following.on_opened(sender, newest.number)
        is_next = newest.number == self.number + 1
        if is_next and told.opened_by is not None and following.is_member and sender in following.members:
            row = following.members.index(sender)
            core.receive(row, Fetch((told.opened_by,)))  # it has to be heard of, as what is asked for is
        elif newest.find(self._id) is None:
            if told.is_safe or not (is_next and following.is_member):  # the epoch before the newest is safe
                self._removed(f"replica {self._id} is not a member any more: see epoch {newest.number}")
        elif self._transfers.is_possible:
            self._know(newest, mine)
            self._transfers.want(self.number, newest, self._sources(newest, told.previous or mine))
        elif not is_next:
            self._fatal(
                f"replica {sender} is in epoch {newest.number}, and this replica in epoch {self.number}: its"
                " data is older than what it has said to the others"
            )

    def _sources(self, newest: Membership, previous: Membership | None) -> list[tuple[int, int]]:
        """The replicas that are ahead of this one, each with its uid, the furthest first.  Who has just been
        removed can give its state, too."""
        opened = self._following.opened
        members = (*(() if previous is None else previous.members), *newest.members)
        ahead = {
            member.number: member.uid
            for member in members
            if member.number != self._id and opened(member.number) > self.number
        }
        return sorted(ahead.items(), key=lambda source: -opened(source[0]))

    # -- what is due

    def on_time(self) -> None:
        """Take what came too early; ask those who are not known to have followed; delete a part of what
        nobody needs."""
        now = self._now()
        if now < self.due:
            return
        while self._early and self._early[0][0] <= self.number:
            epoch, sender, messages = self._early.popleft()
            if epoch == self.number:
                self._receive(sender, messages)
        follows = self._record is not None and not self._following.is_settled
        if self._following.is_durable:  # before, the end of an epoch may not be held on disk yet
            self._dropping.step()
            for replica in self._following.behind() if follows else ():
                self._ask(replica)
        self._transfers.on_time()
        text = f"replica {self._id} is not a member of epoch {self.number}, which is safe"
        self._leaving.on_time(self._following.is_settled, text)
        due = min(now + self._asks_again_s if follows else math.inf, self._leaving.due)
        if self.joining is not None:
            self.joining.on_time()
            due = min(due, self.joining.due)
        if self._dropping.is_busy:
            due = min(due, now + DROP_EVERY_S)
        self.due = min(due, self._transfers.due)

    def _look(self) -> None:
        """Somebody has followed: the epoch may be safe, or settled."""
        following = self._following
        if following.is_safe and self.membership is not None:
            self._turns.on_safe(self.membership)
        if following.is_settled:
            self._leave_closed()
            newest, before = self._linked
            if newest is not None and newest is self.membership and before is not None:
                self._know(newest, None)  # a later list is that of those who give their state
        self.due = self._now()
        if following.is_safe and following.is_durable and not following.is_member:
            self._leaving.on_safe()

    def _leave_closed(self) -> None:
        """Nobody needs the epoch before any more, or who still does takes the state."""
        if self._closed is not None:
            if self._closed_slots is None:
                self._dropping.add([self._closed.number])
            else:
                self._dropping.add_slots(self._closed.number, *self._closed_slots)
        self._closed = self._closed_slots = None


def _holds_all(record: EpochRecord) -> bool:
    """Whether all that ran before the end of the epoch before is held; if not, `committed` is all zeros."""
    return any(record.committed)


def _in_memory(core: Replica, id: InstanceId) -> Any:
    """The record and the batch of an instance that a core holds which keeps nothing on disk."""
    instance = core.table.find(id)
    return None if instance is None else (instance.record(), instance.cmd)
