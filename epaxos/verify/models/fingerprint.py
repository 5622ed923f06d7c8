"""The fingerprint of a replica: a hashable value, equal for replicas that do the same from now on.

Every field of a core counts.  Fields are found by reflection, so that a new one counts by itself.  The
exceptions are listed here, each with the reason why it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from typing import Any

from epaxos.protocol.acceptor import Acceptor
from epaxos.protocol.coordinators.accept_round import AcceptRounds
from epaxos.protocol.coordinators.proposal import Proposal, Proposals
from epaxos.protocol.coordinators.recovery import Recoveries, Recovery, Stage
from epaxos.protocol.coordinators.waiting import Waits
from epaxos.protocol.memory.deadlines import Deadlines
from epaxos.protocol.memory.failures import FailureDetector
from epaxos.protocol.memory.interference import InterferenceIndex
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.replica import Replica
from epaxos.protocol.upkeep.catch_up import CatchUp
from epaxos.protocol.upkeep.forgetting import Forgetting
from epaxos.protocol.upkeep.heartbeats import Heartbeats
from epaxos.protocol.values.ids import InstanceId, initial_ballot
from epaxos.protocol.values.instance import Instance, InstanceRecord
from epaxos.protocol.values.messages import Accept, Batch, Commit, Message, Phase
from epaxos.protocol.values.output import Output
from epaxos.verify.models.model_replica import Disk, ModelReplica

__all__ = ["canonical", "committed", "fingerprint"]


def canonical(message: Message, proposed: Mapping[InstanceId, Batch]) -> Message:
    """The message that stands for all messages with the same effect.

    The ballot of a Commit decides nothing, because a receiver takes the value at any ballot, and uses
    `bal` and `abal` of a committed instance only to fill further Commits.

    A message without the proposed batch counts as one with it, because it is sent only to replicas that are
    known to hold the batch.  One that did not would ask for the whole message.
    """
    if isinstance(message, Commit):
        message = message._replace(ballot=initial_ballot)
    if isinstance(message, (Accept, Commit)) and message.batch is None:
        message = message._replace(batch=proposed[message.id])
    return message


def fingerprint(replica: ModelReplica) -> Hashable:
    """Equal for two replicas that nothing can tell apart, now or later.

    The disk of a replica that syncs at once holds nothing that its core does not.
    """
    core = _replica(replica.core)
    if replica.syncs:
        return replica.id, core
    return replica.id, core, _freeze(replica.disk), _freeze(replica.unwritten)


# -- by reflection

_IGNORED: dict[type, frozenset[str]] = {
    Replica: frozenset(
        {
            *("_handlers", "_state", "table", "counters", "_acceptor", "_rounds", "_proposals"),
            *("_recoveries", "_forgetting", "_catch_up", "_heartbeats", "_takeover"),
        }
    ),
    Acceptor: frozenset({"_state"}),
    AcceptRounds: frozenset({"_state", "_acceptor", "_deadlines", "open"}),
    Proposals: frozenset({"_state", "_acceptor", "_rounds", "_deadlines", "_proposals"}),
    Recoveries: frozenset({"_state", "_acceptor", "_proposals", "_rounds", "_recoveries", "_deadlines"}),
    Waits: frozenset({"_table", "_waiters"}),
    # Time stands still, no replica is suspected, and counters are only shown.  Latency matters to the next
    # proposal of a replica, and each replica proposes at most once.
    ReplicaState: frozenset({"timing", "random", "now", "failures", "latency", "counters", "table", "index"}),
    # Nothing is executed, and no heartbeat arrives, so nothing is fetched or forgotten.
    Forgetting: frozenset({"_state", "_executed_at"}),
    CatchUp: frozenset({"_state", "_proposals", "_recoveries", "_rows", "_committed_at"}),
    Heartbeats: frozenset({"_state", "_forgetting", "_catch_up"}),
    # The index holds what the instances hold as proposed.
    InterferenceIndex: frozenset({"_young", "_old"}),
    # What was heard of matters only to upkeep; what is committed stands in the instances.
    InstanceTable: frozenset({"n", "rows", "_known", "_committed", "_no_deps"}),
    # These were sent and executed already, and the writes stand beside the output.
    Output: frozenset({"messages", "decided", "instances", "batches", "reserved"}),
}
"""Fields that are ignored, by class: they are constant, lead back, or `_replica` treats them."""


def _freeze(value: Any) -> Hashable:
    """The value as something hashable, without the order in which a dictionary or a set was filled."""
    freeze = _FREEZERS.get(type(value))
    if freeze is None:
        freeze = _FREEZERS[type(value)] = _freezer_of(type(value))
    return freeze(value)


def _freezer_of(kind: type) -> Callable[[Any], Hashable]:
    if issubclass(kind, (int, float, str, bytes, Enum, type(None))):
        return _itself
    if issubclass(kind, tuple):  # named ones of different kinds may be equal
        return lambda value: (kind, value if _is_hashable(value) else tuple(map(_freeze, value)))
    if issubclass(kind, list):
        return lambda value: tuple(map(_freeze, value))
    if issubclass(kind, (set, frozenset)):
        return frozenset
    if issubclass(kind, dict):
        return lambda value: frozenset((key, _freeze(item)) for key, item in value.items())
    return _freezer_of_object(kind)


def _itself(value: Hashable) -> Hashable:
    return value


def _is_hashable(value: Hashable) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _freezer_of_object(kind: type) -> Callable[[Any], Hashable]:
    ignored = frozenset[str]().union(*(_IGNORED.get(parent, ()) for parent in kind.__mro__))
    slots = [name for parent in kind.__mro__ for name in parent.__dict__.get("__slots__", ())]
    if slots:
        names = tuple(name for name in slots if name not in ignored)
        return lambda value: tuple(_freeze(getattr(value, name)) for name in names)
    return lambda value: tuple(
        (name, _freeze(field)) for name, field in sorted(value.__dict__.items()) if name not in ignored
    )


# -- with knowledge of the protocol


def _replica(core: Replica) -> Hashable:
    """The core, without all that can have no effect any more.

    The reasons rest on one fact: `bal` and `phase` of an instance never fall, even in a crash, because
    what was not durable was promised to nobody.

    - An own proposal counts PreAcceptOK only while it is preaccepted at ballot 0, which it never becomes
      again.  Later only its existence matters: this replica leads the instance.  When it times out, either
      its Accept is sent again, or its ballot was overtaken and the proposal is dropped.
    - AcceptOK counts only while the ballot of the round is `bal`.  A round that was overtaken is dropped
      when it times out, together with the proposal, which would be dropped without the round as well.
    - The recoveries (`_recovery`) say which of them waits for which instance (`Waits`).
    - Only deadlines that are due matter.
    """
    state, proposals, recoveries = core._state, core._proposals, core._recoveries
    table = state.table
    rounds = [
        (id, _freeze(accept_round))
        for id, accept_round in core._rounds.open.items()
        if table.get(id).bal == accept_round.ballot
    ]
    return (
        _freeze(core),
        _freeze(state),
        _freeze(table),
        frozenset(_instance(found) for row in table.rows for found in row.values() if _says_more(found)),
        _freeze(state.index),
        _freeze(core._acceptor),
        _freeze(core._rounds),
        _freeze(proposals),
        _freeze(recoveries),
        _freeze(core._forgetting),
        _freeze(core._catch_up),
        _freeze(core._heartbeats),
        frozenset((id, _proposal(table.get(id), found)) for id, found in proposals._proposals.items()),
        frozenset(rounds),
        frozenset((id, _recovery(table.get(id), found)) for id, found in recoveries._recoveries.items()),
        _due(proposals._deadlines, state.now),
        _due(recoveries._deadlines, state.now),
    )


def _proposal(instance: Instance, proposal: Proposal) -> Hashable:
    votes = instance.bal == initial_ballot and instance.phase is Phase.PREACCEPTED
    return _freeze(proposal) if votes else None


def _recovery(instance: Instance, recovery: Recovery) -> Hashable:
    """A recovery, without all that can have no effect any more.

    - A recovery that was overtaken takes no answer (`Recoveries._current`) and no news of the instances
      that it waited for.  When it times out it starts again, above `bal` and with nothing of the old.
    - A recovery that has proposed its value takes neither RecoverOK nor ValidateOK, and waits for nothing.
      The value is in the instance, its ballot is `bal`, and the replicas that accepted it are in the round.
    - The order of the answers does not matter.  Q and R are sets.  An accepted value is the same in all
      answers of one ballot, and so are the leader's proposal and the replicas that it named, because it
      proposes once, and repeats the same, as Validate does.
    """
    if instance.bal != recovery.ballot:
        return "overtaken"
    if recovery.stage is Stage.ACCEPT:
        return "accept"
    fields = {name: getattr(recovery, name) for name in recovery.__slots__}
    del fields["attempt"]  # how long to back off
    fields["quorum"] = frozenset(recovery.quorum)
    return _freeze(fields)


def _due(deadlines: Deadlines[Any], now: float) -> Hashable:
    return frozenset(key for key, (at, _) in deadlines._due.items() if at <= now)


def _says_more(instance: Instance) -> bool:
    """Whether the instance differs from one that nobody has named."""
    return instance.bal > 0 or instance.phase is not Phase.INITIAL


def _instance(instance: Instance) -> Hashable:
    """A decision is final: besides it only the proposal matters, which is indexed."""
    if instance.phase is Phase.COMMITTED:
        return instance.id, instance.cmd, instance.deps, instance.proposed
    return instance.record(), instance.cmd, instance.proposed


def _record(record: InstanceRecord) -> Hashable:
    if record.phase is Phase.COMMITTED:
        return record.id, record.value, record.deps
    return record


def _disk(disk: Disk) -> Hashable:
    return disk.reserved, frozenset(disk.batches.items()), frozenset(map(_record, disk.records.values()))


def committed(disk: Disk) -> Hashable:
    """The commits on a disk: all that counts of an epoch that is closed."""
    return frozenset(_record(record) for record in disk.records.values() if record.phase is Phase.COMMITTED)


def _constant(value: object) -> Hashable:
    return None


_FREEZERS: dict[type, Callable[[Any], Hashable]] = {
    Disk: _disk,
    FailureDetector: _constant,
    Instance: _instance,
    InstanceRecord: _record,
}
