"""What distinguishes two machines: a hashable value, equal when they will do the same from now on.

Everything that a core holds counts, found by reflection so that nothing new is forgotten, but for
what is listed here with the reason why it decides nothing.
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
from epaxos.verify.models.machine import Disk, Machine

__all__ = ["canonical", "fingerprint"]


def canonical(message: Message, proposed: Mapping[InstanceId, Batch]) -> Message:
    """The message that stands for all that have the same effect.

    The ballot of a Commit decides nothing: a receiver takes the value at any ballot, and of a
    committed instance neither `bal` nor `abal` is looked at, but to put it into further Commits.

    A message without the batch that was proposed counts as one with it: it is sent to those that are
    known to hold the batch.  Would one not hold it, it would ask for it, and get the whole message later.
    """
    if isinstance(message, Commit):
        message = message._replace(ballot=initial_ballot)
    if isinstance(message, (Accept, Commit)) and message.batch is None:
        message = message._replace(batch=proposed[message.id])
    return message


def fingerprint(machine: Machine) -> Hashable:
    """Equal for two machines that cannot be told apart, now or later, by what they do.

    The disk of a machine that syncs at once says nothing that its core does not.
    """
    core = _replica(machine.core)
    if machine.syncs:
        return machine.id, core
    return machine.id, core, _freeze(machine.disk), _freeze(machine.unwritten)


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
    # Time stands still, nothing is suspected, what is counted is only shown; and who is nearest matters to
    # the next proposal of a replica, of which each makes one at most.
    ReplicaState: frozenset({"timing", "random", "now", "failures", "latency", "counters", "table", "index"}),
    # Nothing is executed, and heartbeats do not flow: so nothing is fetched or forgotten.
    Forgetting: frozenset({"_state", "_executed_at"}),
    CatchUp: frozenset({"_state", "_proposals", "_recoveries", "_rows", "_committed_at"}),
    Heartbeats: frozenset({"_state", "_forgetting", "_catch_up"}),
    # What is indexed is what the instances hold as proposed.
    InterferenceIndex: frozenset({"_young", "_old"}),
    # What was heard of is only watched for progress; what is committed stands in the instances.
    InstanceTable: frozenset({"n", "rows", "_known", "_committed", "_no_deps"}),
    # These were sent and executed already, and what is written stands beside the output.
    Output: frozenset({"messages", "decided", "instances", "batches", "reserved"}),
}
"""Of these the fields are ignored that lead back or are constant, and those that `_replica` treats."""


def _freeze(value: Any) -> Hashable:
    """The value as something hashable; in which order a dictionary or a set was filled is lost."""
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
    """The core, without what can have no effect any more.

    All of this rests on that `bal` and `phase` of an instance never fall, also not in a crash: what is
    not durable there was promised to nobody.

    - An own proposal counts PreAcceptOK only while it is preaccepted at ballot 0, which it never is again.
      Later it matters only that it is there: then the instance is led, and when it times out, either its
      Accept is sent again, which comes first, or its ballot was overtaken and the proposal is dropped.
    - AcceptOK counts only while the ballot of the round is `bal`.  A round that was overtaken is dropped
      when it times out, with the proposal, which would be dropped without the round as well.
    - Which recovery waits for which instance (`Waits`) stands in the recoveries (`_recovery`).
    - Of deadlines, only those that are due.
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
    """A recovery, as far as it may still go.

    - Whatever comes for one that was overtaken is refused (`Recoveries._current`), also the news of those
      that it waited for; when it times out it starts again, above `bal` and with nothing of the old.
    - One that has proposed its value hears neither RecoverOK nor ValidateOK and waits for nobody.  The
      value is in the instance, its ballot is `bal`, and those who accepted it are in the round.
    - Of the answers only who gave which counts, not in which order they came: Q and R are sets, an accepted
      value is the same in all answers of one ballot, and so is what the leader proposed and whom it named
      (it proposes once, says the same when it sends it again, and so does Validate).
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
    """Whether the instance differs from one that was never heard of."""
    return instance.bal > 0 or instance.phase is not Phase.INITIAL


def _instance(instance: Instance) -> Hashable:
    """A decision is final, and then only the proposal behind it matters, which is indexed."""
    if instance.phase is Phase.COMMITTED:
        return instance.id, instance.cmd, instance.deps, instance.proposed
    return instance.record(), instance.cmd, instance.proposed


def _record(record: InstanceRecord) -> Hashable:
    if record.phase is Phase.COMMITTED:
        return record.id, record.value, record.deps
    return record


def _disk(disk: Disk) -> Hashable:
    return disk.reserved, frozenset(disk.batches.items()), frozenset(map(_record, disk.records.values()))


def _constant(value: object) -> Hashable:
    return None


_FREEZERS: dict[type, Callable[[Any], Hashable]] = {
    Disk: _disk,
    FailureDetector: _constant,
    Instance: _instance,
    InstanceRecord: _record,
}
