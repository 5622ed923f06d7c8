"""The chain of epochs at one replica: which one it works in, who has followed, and when the next may begin.

An epoch ends with the first instance in the order of execution that opens the next one.  Here the next
epoch has the same members.  It begins only when every member has opened the present one, so a member is
never more than one epoch behind, and finds all that it missed in what the others keep of that epoch
(docs: protocol/epochs).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from epaxos.interfaces import EpochRecord, IStore, ITransport, Refusal, WriteSet
from epaxos.node.closed_epoch import ClosedEpoch
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.control import Control, EpochIs, Standing
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.messages import Batch, Fetch, Message

__all__ = ["Epochs"]

_log = Logger()

EARLY_FRAMES_MAX = 256
"""Frames of the next epoch that are kept until this replica opens it, too; the oldest are dropped."""
DROPPED_AT_ONCE = 500
"""Instances of an epoch that has ended that are deleted in one step.  A step takes about 1 ms."""
DROP_EVERY_S = 0.02
"""Seconds between two such steps."""


class Epochs:
    """The epochs of replica `id` of a cluster of `n`, from epoch 0 on.

    `asks_again_s`: the time between two questions to a replica that has not answered.  `receive(sender,
    messages)` takes messages of the present epoch.  `fatal(text)` is called when this replica must stop.
    """

    def __init__(
        self,
        id: int,
        n: int,
        store: IStore,
        transport: ITransport,
        now: Callable[[], float],
        asks_again_s: float,
        timeout_s: float,
        receive: Callable[[int, Sequence[Message]], None],
        fatal: Callable[[str], None],
        new_uuid: Callable[[], int],
    ) -> None:
        self.number = 0
        self.membership: Membership | None = None
        self.due = math.inf
        """When `on_time` has to be called next, on the clock of `ITimeoutService`."""
        self._id = id
        self._others = tuple(member for member in range(n) if member != id)
        self._n = n
        self._store = store
        self._transport = transport
        self._now = now
        self._asks_again_s = asks_again_s
        self._timeout_s = timeout_s
        self._receive = receive
        self._fatal = fatal
        self._new_uuid = new_uuid
        self._record: EpochRecord | None = None
        self._closed: ClosedEpoch | None = None
        self._is_durable = True
        self._installed_at = [0] * n
        self._asked_at: dict[int, float] = {}
        self._early: deque[tuple[int, int, Sequence[Message]]] = deque(maxlen=EARLY_FRAMES_MAX)
        self._turns: deque[tuple[int, float, Deferred[int]]] = deque()
        self._dropping: deque[int] = deque()  # epochs that nobody needs, the oldest first
        self._dropped_upto: InstanceId | None = None

    # -- where this replica is

    @property
    def is_settled(self) -> bool:
        """Whether every member has opened this epoch, as far as this replica knows."""
        return min(self._installed_at) >= self.number

    @property
    def wants_turn(self) -> bool:
        """Whether an operator waits for the next epoch."""
        return bool(self._turns)

    @property
    def is_safe(self) -> bool:
        """Whether the state at the beginning of this epoch is durable at so many members that no failure
        that the cluster survives can lose it: f+1 of 2f+1 (docs: protocol/epochs, T9)."""
        return sum(number >= self.number for number in self._installed_at) > self._n // 2

    def status(self) -> dict[str, Any]:
        """What `GET /status` shows."""
        return {
            "number": self.number,
            "settled": self.is_settled,
            "opened_by": None if self._record is None else list(self._record.opened_by),
        }

    def restore(self, founded: Membership | None, record: EpochRecord | None) -> None:
        """Restore what the store held: the first members, and how the newest epoch began."""
        self.membership = founded
        if record is None:
            return
        self._record = record
        self.membership = record.membership
        self.number = self._installed_at[self._id] = record.membership.number
        ended = record.previous.number - 1  # it had settled, and may not be deleted wholly
        while ended >= 0 and self._store.held(ended, None, 1):
            self._dropping.appendleft(ended)
            ended -= 1
        if self._store.held(record.previous.number, None, 1):
            self._close(record, partial(self._store.find, record.previous.number))
        else:
            self._installed_at = [self.number] * self._n
        self.due = self._now()

    def end(self, id: InstanceId, successor: Membership, core: Replica) -> EpochRecord:
        """The epoch ends here with `id`, and `successor` begins.  What has to be written before anything
        else of it."""
        previous = self.membership
        if previous is None:
            previous = successor._replace(number=successor.number - 1)
        self._leave_closed()  # every member was here when `successor` was proposed
        record = EpochRecord(successor, previous, id, core.table.committed)
        self._record = record
        self.membership = successor
        self.number = successor.number
        self._is_durable = False
        self._transport.know(successor)
        if self._store.persistent:
            self._close(record, partial(self._store.find, previous.number))
        else:
            self._close(record, partial(_in_memory, core))
        _log.info(
            "replica {id} opens epoch {number}: epoch {before} ended with instance {instance}",
            id=self._id,
            number=self.number,
            before=previous.number,
            instance=str(id),
        )
        return record

    def _close(self, record: EpochRecord, find: Callable[[InstanceId], Any]) -> None:
        self._closed = ClosedEpoch(record.previous, record.committed, find)
        self.due = self._now()

    def on_durable(self, number: int) -> None:
        """The beginning of epoch `number` is durable here: the others may rely on it."""
        if number == self.number:
            self._is_durable = True
            self._installed_at[self._id] = number
            for replica in self._others:
                self._transport.send_control(replica, Standing(number, number))
            self._look()

    # -- what arrives

    def on_other_epoch(self, sender: int, epoch: int, messages: Sequence[Message]) -> None:
        """Messages of another epoch than this replica's have arrived."""
        closed = self._closed
        if epoch > self.number:
            if epoch == self.number + 1:
                self._early.append((epoch, sender, messages))
            self._ask(sender)
        elif closed is not None and epoch == closed.number:
            if self._is_durable:
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
            self._asked_at[replica] = now
            self._transport.send_control(replica, self._standing(asks=True))

    def _standing(self, asks: bool) -> Standing:
        return Standing(self._installed_at[self._id], self._installed_at[self._id], asks)

    def _tell_epoch(self, replica: int) -> None:
        record = self._record
        if record is not None and self._is_durable:
            self._transport.send_control(
                replica, EpochIs(record.membership, record.opened_by, record.previous)
            )

    def on_control(self, sender: int, control: Control, core: Replica) -> None:
        """A replica tells about epochs.  `core`: that of the present epoch."""
        if isinstance(control, Standing):
            self._on_standing(sender, control)
        elif isinstance(control, EpochIs):
            self._on_epoch_is(sender, control, core)

    def _on_standing(self, sender: int, standing: Standing) -> None:
        self._installed_at[sender] = max(self._installed_at[sender], standing.installed)
        if standing.epoch < self.number:
            self._tell_epoch(sender)
        elif standing.epoch > self.number:
            self._ask(sender)
        elif standing.asks:
            self._transport.send_control(sender, self._standing(asks=False))
        self._look()

    def _on_epoch_is(self, sender: int, told: EpochIs, core: Replica) -> None:
        """`sender` is in a later epoch: find the instance that opened it.

        Raises nothing when `sender` is behind, or of another cluster.
        """
        mine, newest = self.membership, told.membership
        if mine is not None and mine.uuid != newest.uuid:
            return
        if newest.number == self.number + 1 and told.opened_by is not None:
            core.receive(sender, Fetch((told.opened_by,)))  # it has to be heard of, as what is asked for is
        elif newest.number > self.number + 1:
            self._fatal(
                f"replica {sender} is in epoch {newest.number}, and this replica in epoch {self.number}: its"
                " data folder is older than what it has said to the others"
            )

    # -- what is due

    def on_time(self) -> None:
        """Take what came too early; ask those who are not known to have followed; delete a part of what
        nobody needs; tell operators that their time is over."""
        now = self._now()
        if now < self.due:
            return
        while self._early and self._early[0][0] <= self.number:
            epoch, sender, messages = self._early.popleft()
            if epoch == self.number:
                self._receive(sender, messages)
        if self._dropping:
            self._drop_some(self._dropping[0])
        if self._closed is not None and self._is_durable:
            for replica in self._others:
                if self._installed_at[replica] < self.number:
                    self._ask(replica)
        while self._turns and self._turns[0][1] <= now:
            _, _, answer = self._turns.popleft()
            answer.errback(
                Refusal(
                    f"no majority of the members has answered within {self._timeout_s:g} s; the next"
                    " epoch may still begin"
                )
            )
        self._set_due(now)

    def _set_due(self, now: float) -> None:
        due = math.inf
        if self._closed is not None:
            due = now + self._asks_again_s
        if self._turns:
            due = min(due, self._turns[0][1])
        if self._dropping:
            due = min(due, now + DROP_EVERY_S)
        self.due = due

    def _look(self) -> None:
        """Somebody has followed: the epoch may be safe, or settled."""
        if self.is_safe:
            while self._turns and self._turns[0][0] <= self.number:
                self._turns.popleft()[2].callback(self.number)
        if self._closed is not None and self.is_settled:
            self._leave_closed()
        self.due = self._now()

    def _leave_closed(self) -> None:
        """Nobody needs the epoch before any more."""
        if self._closed is not None and self._store.persistent:
            self._dropping.append(self._closed.number)
        self._closed = None

    def _drop_some(self, epoch: int) -> None:
        ids = self._store.held(epoch, self._dropped_upto, DROPPED_AT_ONCE)
        if ids:
            self._store.write(WriteSet(epoch=epoch, dropped=ids), _nothing)
        if len(ids) == DROPPED_AT_ONCE:
            self._dropped_upto = ids[-1]
        else:
            self._dropping.popleft()
            self._dropped_upto = None

    # -- turns

    def turn(self) -> Deferred[int]:
        """Let the next epoch begin, with the same members.  The Deferred fires with its number once it is
        safe; it fails with Refusal."""
        why_not = self._why_not()
        if why_not:
            return fail(Refusal(why_not))
        answer: Deferred[int] = Deferred()
        self._turns.append((self.number + 1, self._now() + self._timeout_s, answer))
        self.due = self._now()
        return answer

    def _why_not(self) -> str:
        behind = [replica for replica in self._others if self._installed_at[replica] < self.number]
        if behind:
            return f"epoch {self.number} has not begun at every member: replica {behind[0]} is behind"
        old = [replica for replica in self._others if not self._transport.speaks_epochs(replica)]
        if old:
            return f"replica {old[0]} is not connected, or of a version that knows of no epochs"
        return ""

    def propose(self, core: Replica) -> None:
        """Propose what opens the next epoch, if an operator waits for that and nobody has proposed it."""
        if self._turns and self._turns[0][0] > self.number and not core.endings and core.can_propose:
            membership = self.membership or _first(self._transport, self._n, self._new_uuid)
            if membership is not None:
                core.propose(Batch.opening(membership.successor()))

    def refuse_turns(self, text: str) -> None:
        """This replica stops: answer the operators that wait."""
        turns, self._turns = self._turns, deque()
        for _, _, answer in turns:
            answer.errback(Refusal(text))


def _first(transport: ITransport, n: int, new_uuid: Callable[[], int]) -> Membership | None:
    """The `n` members of epoch 0 of a cluster that was made before there were epochs.

    None while the uid of one is not known.
    """
    uids = [transport.uid_of(member) for member in range(n)]
    members = tuple(Member(number, uid) for number, uid in enumerate(uids) if uid)
    return Membership(new_uuid(), 0, VERSION, members) if len(members) == n else None


def _in_memory(core: Replica, id: InstanceId) -> Any:
    """The record and the batch of an instance that a core holds which keeps nothing on disk."""
    instance = core.table.find(id)
    return None if instance is None else (instance.record(), instance.cmd)


def _nothing() -> None:
    """Do nothing, because nobody waits for it."""
