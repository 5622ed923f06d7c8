"""Every state of a replica that occurs in an exploration, and every step from it, each computed once.

A step of one replica depends on that replica's state and the event alone.  So the real core runs once for
each such pair, and the result is looked up in the many states of the cluster that contain the pair.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NamedTuple, Union

from epaxos.protocol.values.ids import InstanceId, initial_ballot
from epaxos.protocol.values.messages import Batch, Commit, Message, Phase, PreAccept, PreAcceptOK
from epaxos.verify.models.fingerprint import canonical, fingerprint
from epaxos.verify.models.model import Envelope, Model
from epaxos.verify.models.model_replica import Decision, Disk, Effects, ModelReplica, dump, load

__all__ = ["Event", "Kind", "ModelReplicas", "Step"]


class Kind:
    """The events of a replica that carry no data."""

    HURRY = "hurry"
    SYNC = "sync"
    REBOOT = "reboot"


Event = Union[int, str, InstanceId, Batch]
"""The number of a message, one of `Kind`, an instance whose waits end, or a batch to propose."""


class Step(NamedTuple):
    """The number of the state that a replica reaches, and the effects."""

    reached: int
    sent: int
    decisions: tuple[Decision, ...]
    proposed: InstanceId | None


class ModelReplicas:
    """The states of the replicas of one model, by number; and the messages, by bit.

    A set of messages is an integer: bit b stands for `envelopes[b]`.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._numbers: dict[Hashable, int] = {}
        self._saved: list[bytes] = []
        self._bits: dict[tuple[type, Envelope], int] = {}
        self._proposed: dict[InstanceId, Batch] = {}
        self._steps: list[dict[Event, Step]] = []
        self.envelopes: list[Envelope] = []
        self.to: list[int] = [0] * model.n
        self.unsynced: list[bool] = []
        self.decided: list[frozenset[InstanceId]] = []
        self.inert: list[int] = []
        self.idle: list[int] = []
        self._judged: list[int] = []
        self._promised: list[dict[InstanceId, float]] = []
        self.executed = 0

    def first(self) -> tuple[int, ...]:
        """The states of the replicas of a cluster that has just started for the first time."""
        model = self._model
        return tuple(
            self._number(ModelReplica(id, model.n, model.new, syncs=model.syncs or not model.may_crash(id)))
            for id in range(model.n)
        )

    def __len__(self) -> int:
        return len(self._saved)

    def replica(self, number: int) -> Any:
        """A copy of the replica in the state `number`."""
        return load(self._saved[number])

    # -- steps

    def step(self, number: int, event: Event) -> Step:
        """The step that `event` makes from the state `number`."""
        steps = self._steps[number]
        step = steps.get(event)
        if step is None:
            step = steps[event] = self._run(number, event)
        return step

    def _run(self, number: int, event: Event) -> Step:
        self.executed += 1
        replica = self.replica(number)
        effects = self._happen(replica, event)
        if effects.proposed is not None and isinstance(event, Batch):
            self._proposed[effects.proposed] = event
        sent = 0
        for dest, message in effects.messages:
            envelope = Envelope(replica.id, dest, canonical(message, self._proposed))
            if not self._model.lost(envelope):
                sent |= 1 << self._bit(envelope)
        return Step(self._number(replica), sent, tuple(effects.decisions), effects.proposed)

    def _happen(self, replica: ModelReplica, event: Event) -> Effects:
        if isinstance(event, int):
            sender, _, message, _ = self.envelopes[event]
            return replica.receive(sender, message)
        if isinstance(event, InstanceId):
            return replica.time_out(event)
        if isinstance(event, Batch):
            return replica.propose(event)
        if event == Kind.HURRY:
            return replica.hurry()
        if event == Kind.SYNC:
            return replica.sync()
        return replica.reboot(self._model.new)

    # -- numbers

    def _number(self, replica: ModelReplica) -> int:
        return self._number_of(fingerprint(replica), replica)

    def _number_of(self, key: Hashable, replica: Any) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._saved)
            self._saved.append(dump(replica))
            self._steps.append({})
            self._describe(replica)
        return number

    def _describe(self, replica: Any) -> None:
        self.unsynced.append(bool(replica.unwritten))
        self.decided.append(_decided(replica))
        self._begin_judging(replica.disk)

    def _begin_judging(self, disk: Disk | None) -> None:
        """Prepare to judge messages to the newest state; `disk`: what is durable of its epoch."""
        self.inert.append(0)
        self.idle.append(0)
        self._judged.append(0)
        records = {} if disk is None else disk.records
        self._promised.append(
            {
                id: math.inf if record.phase is Phase.COMMITTED else record.bal
                for id, record in records.items()
            }
        )

    def _bit(self, envelope: Envelope) -> int:
        key = (type(envelope.message), envelope)  # named tuples of different kinds may be equal
        bit = self._bits.get(key)
        if bit is None:
            bit = self._bits[key] = len(self.envelopes)
            self.envelopes.append(envelope)
            self.to[envelope.dest] |= 1 << bit
        return bit

    # -- messages without effect

    def judge(self, number: int, messages: int) -> None:
        """Note in `inert` and `idle` which of these messages to the replica have no effect in this state.

        A message is inert when its arrival changes nothing and makes the replica send nothing.  It is idle
        when it stays inert, also after a crash (`_is_final`).
        """
        fresh = messages & ~self._judged[number]
        if not fresh:
            return
        self._judged[number] |= fresh
        while fresh:
            lowest = fresh & -fresh
            fresh ^= lowest
            bit = lowest.bit_length() - 1
            step = self.step(number, bit)
            if step.reached == number and not step.sent and not step.decisions:
                self.inert[number] |= lowest
                if self._is_final(number, self.envelopes[bit]):
                    self.idle[number] |= lowest

    def _is_final(self, number: int, envelope: Envelope) -> bool:
        """Whether what is durable shows that a message without effect now will never have one.

        Either the instance is committed.  Then a PreAccept, Accept, Recover or Validate is always answered
        with the Commit, which is an effect unless it is lost; votes and answers find no proposal, round or
        recovery; and Waiting and the Commit itself are ignored.

        Or a higher ballot is promised.  Then, under both rules of the fast path, `admit` takes no request
        below `bal` and repeats no answer; and PreAcceptOK counts only at ballot 0, AcceptOK, RecoverOK and
        ValidateOK only at their ballot.  Commit and Waiting do not depend on a ballot.
        """
        message = envelope.message
        promised = self._promised[number].get(getattr(message, "id", None), 0)  # type: ignore[arg-type]
        return promised == math.inf or _ballot(message) < promised


def _ballot(message: Message) -> float:
    """The ballot at which the message is taken; infinity when it is taken at any ballot."""
    if isinstance(message, (PreAccept, PreAcceptOK)):
        return initial_ballot
    if isinstance(message, Commit):
        return math.inf
    return getattr(message, "ballot", math.inf)


def _decided(replica: ModelReplica) -> frozenset[InstanceId]:
    rows = replica.core.table.rows
    return frozenset(found.id for row in rows for found in row.values() if found.phase is Phase.COMMITTED)
