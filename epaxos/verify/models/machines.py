"""Each machine that occurs in an exploration, once, and what each step does to it, once.

A step of one replica depends on nothing but that replica and the message.  So the real core runs once
for every pair of the two; in the many states of the whole that contain the pair, the result is looked up.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import NamedTuple, Union

from epaxos.protocol.values.ids import InstanceId, initial_ballot
from epaxos.protocol.values.messages import Batch, Commit, Message, Phase, PreAccept, PreAcceptOK
from epaxos.verify.models.fingerprint import canonical, fingerprint
from epaxos.verify.models.machine import Decision, Effects, Machine
from epaxos.verify.models.model import Envelope, Model

__all__ = ["Event", "Kind", "Machines", "Step"]


class Kind:
    """What may happen to a machine, but for the arrival of a message."""

    HURRY = "hurry"
    SYNC = "sync"
    REBOOT = "reboot"


Event = Union[int, str, InstanceId, Batch]
"""A message (its number), one of `Kind`, an instance whose waits are over, or a batch to propose."""


class Step(NamedTuple):
    """What a machine becomes, and what came out."""

    machine: int
    sent: int
    decisions: tuple[Decision, ...]
    proposed: InstanceId | None


class Machines:
    """The machines of one model, by number; and the messages, by bit.

    Sets of messages are integers: bit b stands for `envelopes[b]`.
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
        """The machines of a cluster that has just started for the first time."""
        model = self._model
        return tuple(
            self._number(Machine(id, model.n, model.new, syncs=model.syncs or not model.may_crash(id)))
            for id in range(model.n)
        )

    def __len__(self) -> int:
        return len(self._saved)

    def machine(self, number: int) -> Machine:
        """A copy of the machine."""
        return Machine.load(self._saved[number])

    # -- steps

    def step(self, number: int, event: Event) -> Step:
        """What `event` does to the machine `number`."""
        steps = self._steps[number]
        step = steps.get(event)
        if step is None:
            step = steps[event] = self._run(number, event)
        return step

    def _run(self, number: int, event: Event) -> Step:
        self.executed += 1
        machine = self.machine(number)
        effects = self._happen(machine, event)
        if effects.proposed is not None and isinstance(event, Batch):
            self._proposed[effects.proposed] = event
        sent = 0
        for dest, message in effects.messages:
            envelope = Envelope(machine.id, dest, canonical(message, self._proposed))
            if not self._model.lost(envelope):
                sent |= 1 << self._bit(envelope)
        return Step(self._number(machine), sent, tuple(effects.decisions), effects.proposed)

    def _happen(self, machine: Machine, event: Event) -> Effects:
        if isinstance(event, int):
            sender, _, message = self.envelopes[event]
            return machine.receive(sender, message)
        if isinstance(event, InstanceId):
            return machine.time_out(event)
        if isinstance(event, Batch):
            return machine.propose(event)
        if event == Kind.HURRY:
            return machine.hurry()
        if event == Kind.SYNC:
            return machine.sync()
        return machine.reboot(self._model.new)

    # -- numbers

    def _number(self, machine: Machine) -> int:
        key = fingerprint(machine)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._saved)
            self._saved.append(machine.save())
            self._steps.append({})
            self._describe(machine)
        return number

    def _describe(self, machine: Machine) -> None:
        self.unsynced.append(bool(machine.unwritten))
        self.decided.append(_decided(machine))
        self.inert.append(0)
        self.idle.append(0)
        self._judged.append(0)
        self._promised.append(
            {
                id: math.inf if record.phase is Phase.COMMITTED else record.bal
                for id, record in machine.disk.records.items()
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
        """See to it that `inert` and `idle` of the machine speak of these messages to it.

        A message is inert when its arrival changes nothing and makes the machine say nothing.
        It is idle when that is so for ever, also after a crash (`_is_final`).
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
            if step.machine == number and not step.sent and not step.decisions:
                self.inert[number] |= lowest
                if self._is_final(number, self.envelopes[bit].message):
                    self.idle[number] |= lowest

    def _is_final(self, number: int, message: Message) -> bool:
        """Whether a message that has no effect now never has one, by what is durable.

        The instance is committed: then a PreAccept, Accept, Recover or Validate is answered with the Commit,
        which is an effect unless it is lost, always; votes and answers find neither a proposal nor a round
        nor a recovery that goes on; and Waiting and the Commit itself are ignored.

        Or a higher ballot is promised, under both rules of the fast path: `admit` takes none of the four
        below `bal`, nor repeats an answer, and PreAcceptOK counts at ballot 0, AcceptOK, RecoverOK and
        ValidateOK at their ballot, only while it is `bal`.  A Commit and Waiting name no ballot that is
        looked at.
        """
        promised = self._promised[number].get(getattr(message, "id", None), 0)  # type: ignore[arg-type]
        return promised == math.inf or _ballot(message) < promised


def _ballot(message: Message) -> float:
    """At which ballot the message is taken; infinity when that does not depend on a ballot."""
    if isinstance(message, (PreAccept, PreAcceptOK)):
        return initial_ballot
    if isinstance(message, Commit):
        return math.inf
    return getattr(message, "ballot", math.inf)


def _decided(machine: Machine) -> frozenset[InstanceId]:
    rows = machine.core.table.rows
    return frozenset(found.id for row in rows for found in row.values() if found.phase is Phase.COMMITTED)
