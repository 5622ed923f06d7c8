"""Every state of a turning replica that occurs, and every step from it, each computed once."""

from __future__ import annotations

from typing import Any, cast

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch, Phase
from epaxos.verify.models.model import Envelope
from epaxos.verify.models.model_replicas import Event, Kind, ModelReplicas, Step
from epaxos.verify.models.turn_model import GivenState, TurnModel
from epaxos.verify.models.turning_replica import TurnEffects, TurningReplica

__all__ = ["TurningReplicas"]


class TurningReplicas(ModelReplicas):
    """The states of the replicas of a model of turns.  `open`: what a replica in that state may recover."""

    def __init__(self, model: TurnModel) -> None:
        super().__init__(model)
        self._turns = model
        self._durable_epoch: list[int] = []
        self.open: list[tuple[InstanceId, ...]] = []

    def first(self) -> tuple[int, ...]:
        """The states of the replicas of a cluster that has just started for the first time."""
        model = self._turns
        made = (
            TurningReplica(id, model.n, model.new, model.syncs or not model.may_crash(id), model.installers)
            for id in range(model.n)
        )
        return tuple(self._number_of((replica.id, replica.fingerprint()), replica) for replica in made)

    def _run(self, number: int, event: Event) -> Step:
        self.executed += 1
        replica: TurningReplica = self.replica(number)
        effects = self._let(replica, event)
        sent = 0
        for envelope in effects.envelopes:
            if not self._turns.lost(envelope):
                sent |= 1 << self._bit(envelope)
        reached = self._number_of((replica.id, replica.fingerprint()), replica)
        return Step(reached, sent, cast(Any, tuple(effects.facts)), effects.proposed)

    def _let(self, replica: TurningReplica, event: Event) -> TurnEffects:
        if isinstance(event, int):
            sender, _, message, epoch = self.envelopes[event]
            if isinstance(message, GivenState):
                return replica.install(message)
            return replica.receive(sender, message, epoch)
        if isinstance(event, InstanceId):
            return replica.time_out(event)
        if isinstance(event, Batch):
            return replica.propose(event)
        if event == Kind.HURRY:
            return replica.hurry()
        return replica.sync() if event == Kind.SYNC else replica.reboot()

    def _describe(self, replica: TurningReplica) -> None:
        core, own = replica.present.core, replica.id
        rows = core.table.rows
        held = (found for row in rows for found in row.values())
        open_ids = {found.id for found in held if found.phase is not Phase.COMMITTED}
        open_ids.update(core.table.uncommitted(own, core._state.used_upto, 8))
        self.open.append(tuple(sorted(open_ids)))
        self.unsynced.append(replica.is_unsynced)
        self.decided.append(frozenset())
        self._durable_epoch.append(replica.number if replica.is_durable else 0)
        self._begin_judging(replica.present.disk if replica.is_durable else None)

    def _is_final(self, number: int, envelope: Envelope) -> bool:
        """As for one epoch.  A message of an epoch that was left durably is answered by what is committed
        there, which never changes; and a state is given to nobody who has opened the epoch."""
        durable = self._durable_epoch[number]
        if isinstance(envelope.message, GivenState):
            return durable >= 1
        if envelope.epoch != durable:
            return envelope.epoch < durable
        return super()._is_final(number, envelope)
