"""Messages and batches to bytes and back, by `wire.proto`; the same for every transport.

What is encoded is ours and taken as right.  What is decoded came from outside: a value that leaves
`decode_frame` has every number in its range and every vector in its length, so that nobody behind
has to ask again.  Bounding the bytes is the business of the transport.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import NUMBER_LIMIT, Deps, InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    AcceptOK,
    Batch,
    Commit,
    Conflict,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    PreAccept,
    PreAcceptOK,
    Read,
    ReadOK,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)
from epaxos.wire import wire_pb2 as wire

__all__ = ["WireError", "decode_batch", "decode_frame", "encode", "encode_batch"]

FETCHED_MAX = 4096
"""No replica asks for so many instances at once, by far."""
_PHASES: dict[int, Phase] = {int(phase): phase for phase in Phase}


class WireError(ValueError):
    """Bytes from outside that are not what they should be; the text says in a few words why."""


def encode(message: Message) -> bytes:
    """A frame that holds only `message`.  The concatenation of frames is a frame."""
    frame = wire.Frame()
    _ENCODERS[type(message)](message, frame.messages.add())
    return frame.SerializeToString()


def decode_frame(data: bytes, epoch: Epoch) -> list[Message]:
    """The messages of a frame of `epoch`, in order.  Raises WireError."""
    try:
        frame = wire.Frame.FromString(data)
    except DecodeError:
        raise WireError("not a frame") from None
    n = epoch.n
    messages: list[Message] = []
    for message in frame.messages:
        kind = message.WhichOneof("kind")
        if kind is None:
            raise WireError("a message of an unknown kind")
        messages.append(_DECODERS[kind](getattr(message, kind), n))
    return messages


def encode_batch(batch: Batch) -> bytes:
    """The batch alone, as it also lies on disk; nothing (no bytes) for NOP."""
    columns = wire.Batch(payload=batch.payload, commands=batch.commands)
    if batch.writes:  # touching an empty column takes as long as filling it
        columns.writes.extend(batch.writes)
    if batch.reads:
        columns.reads.extend(batch.reads)
    if batch.barrier:
        columns.barrier = True
    return columns.SerializeToString()


def decode_batch(data: bytes) -> Batch:
    """What `encode_batch` encoded; NOP is the constant.  Raises WireError."""
    try:
        columns = wire.Batch.FromString(data)
    except DecodeError:
        raise WireError("not a batch") from None
    batch = Batch(
        tuple(columns.writes[:]),  # a slice is copied by one call, an iteration asks for each element
        tuple(columns.reads[:]),
        columns.payload,
        columns.commands,
        columns.barrier,
    )
    if batch.commands:
        return batch
    if batch != NOP:
        raise WireError("a batch without commands that is not the NOP")
    return NOP


class _Named(Protocol):
    """A wire message about one instance."""

    replica: int
    slot: int


def _id(message: _Named, n: int) -> InstanceId:
    replica, slot = message.replica, message.slot
    if replica >= n:
        raise WireError(f"an instance of replica {replica}")
    if not 0 < slot < NUMBER_LIMIT:
        raise WireError(f"an instance with slot {slot}")
    return InstanceId(replica, slot)


def _ids(replicas: Sequence[int], slots: Sequence[int], n: int) -> list[InstanceId]:
    if len(replicas) != len(slots):
        raise WireError(f"columns of {len(replicas)} replicas and {len(slots)} slots")
    if replicas and (max(replicas) >= n or min(slots) < 1 or max(slots) >= NUMBER_LIMIT):
        raise WireError("a list with an impossible instance")
    return list(map(InstanceId, replicas, slots))


def _ballot(number: int) -> int:
    if number >= NUMBER_LIMIT:
        raise WireError(f"ballot {number}")
    return number


def _deps(vector: Sequence[int], n: int) -> Deps:
    deps = tuple(vector[:])
    if len(deps) != n:
        raise WireError(f"a vector of {len(deps)} elements in a cluster of {n}")
    if max(deps) >= NUMBER_LIMIT:
        raise WireError(f"a vector with slot {max(deps)}")
    return deps


def _deps_of(id: InstanceId, vector: Sequence[int], n: int) -> Deps:
    """The dependencies of `id`: of its own row they name only what comes before it."""
    deps = _deps(vector, n)
    if deps[id.replica] >= id.slot:
        raise WireError(f"an instance {id} that depends on slot {deps[id.replica]} of its own row")
    return deps


def _fast_quorum(id: InstanceId, replicas: Sequence[int], n: int) -> tuple[int, ...]:
    """Whom the leader of `id` named: ascending, other replicas."""
    named = tuple(replicas[:])
    if named and (named[-1] >= n or id.replica in named or named != tuple(sorted(set(named)))):
        raise WireError(f"an instance {id} with the fast quorum {named}")
    return named


def _proposed(message: wire.PreAccept | wire.Validate) -> Batch:
    batch = decode_batch(message.batch)
    if batch is NOP:
        raise WireError("a proposal without commands")
    return batch


def _optional_batch(message: wire.Accept | wire.Commit | wire.RecoverOK) -> Batch | None:
    return decode_batch(message.batch) if message.HasField("batch") else None


def _encode_pre_accept(message: PreAccept, out: wire.Message) -> None:
    to = out.pre_accept
    to.replica, to.slot = message.id
    to.batch = encode_batch(message.batch)
    to.deps.extend(message.deps)
    to.fast_quorum.extend(message.fast_quorum)


def _decode_pre_accept(message: wire.PreAccept, n: int) -> PreAccept:
    id = _id(message, n)
    return PreAccept(
        id, _proposed(message), _deps_of(id, message.deps, n), _fast_quorum(id, message.fast_quorum, n)
    )


def _encode_pre_accept_ok(message: PreAcceptOK, out: wire.Message) -> None:
    to = out.pre_accept_ok
    to.replica, to.slot = message.id
    to.deps.extend(message.deps)


def _decode_pre_accept_ok(message: wire.PreAcceptOK, n: int) -> PreAcceptOK:
    id = _id(message, n)
    return PreAcceptOK(id, _deps_of(id, message.deps, n))


def _encode_value(message: Accept | Commit, to: wire.Accept | wire.Commit) -> None:
    to.replica, to.slot = message.id
    to.ballot = message.ballot
    if message.batch is not None:
        to.batch = encode_batch(message.batch)
    to.deps.extend(message.deps)


def _encode_accept(message: Accept, out: wire.Message) -> None:
    _encode_value(message, out.accept)


def _decode_accept(message: wire.Accept, n: int) -> Accept:
    id = _id(message, n)
    return Accept(id, _ballot(message.ballot), _optional_batch(message), _deps_of(id, message.deps, n))


def _encode_accept_ok(message: AcceptOK, out: wire.Message) -> None:
    to = out.accept_ok
    to.replica, to.slot = message.id
    to.ballot = message.ballot


def _decode_accept_ok(message: wire.AcceptOK, n: int) -> AcceptOK:
    return AcceptOK(_id(message, n), _ballot(message.ballot))


def _encode_commit(message: Commit, out: wire.Message) -> None:
    _encode_value(message, out.commit)


def _decode_commit(message: wire.Commit, n: int) -> Commit:
    id = _id(message, n)
    return Commit(id, _ballot(message.ballot), _optional_batch(message), _deps_of(id, message.deps, n))


def _encode_recover(message: Recover, out: wire.Message) -> None:
    to = out.recover
    to.replica, to.slot = message.id
    to.ballot = message.ballot


def _decode_recover(message: wire.Recover, n: int) -> Recover:
    return Recover(_id(message, n), _ballot(message.ballot))


def _encode_recover_ok(message: RecoverOK, out: wire.Message) -> None:
    to = out.recover_ok
    to.replica, to.slot = message.id
    to.ballot = message.ballot
    to.accepted_ballot = message.accepted_ballot
    to.phase = message.phase
    if message.batch is not None:
        to.batch = encode_batch(message.batch)
    to.deps.extend(message.deps)
    if message.init_deps is not None:
        to.init_deps.extend(message.init_deps)
    to.fast_quorum.extend(message.fast_quorum)


def _decode_recover_ok(message: wire.RecoverOK, n: int) -> RecoverOK:
    phase = _PHASES.get(message.phase)
    if phase is None:
        raise WireError(f"phase {message.phase}")
    id = _id(message, n)
    answer = RecoverOK(
        id,
        _ballot(message.ballot),
        _ballot(message.accepted_ballot),
        phase,
        _optional_batch(message),
        _deps_of(id, message.deps, n),
        _deps_of(id, message.init_deps, n) if message.init_deps else None,
        _fast_quorum(id, message.fast_quorum, n),
    )
    if phase is not Phase.INITIAL and answer.batch is None:
        raise WireError(f"{phase.name.lower()} without a batch")
    if phase is Phase.PREACCEPTED and (answer.init_deps is None or answer.batch is NOP):
        raise WireError("preaccepted without what was proposed")
    return answer


def _encode_validate(message: Validate, out: wire.Message) -> None:
    to = out.validate
    to.replica, to.slot = message.id
    to.ballot = message.ballot
    to.batch = encode_batch(message.batch)
    to.deps.extend(message.deps)


def _decode_validate(message: wire.Validate, n: int) -> Validate:
    id = _id(message, n)
    return Validate(id, _ballot(message.ballot), _proposed(message), _deps_of(id, message.deps, n))


def _encode_validate_ok(message: ValidateOK, out: wire.Message) -> None:
    to = out.validate_ok
    to.replica, to.slot = message.id
    to.ballot = message.ballot
    if message.conflicts:
        ids, committed = zip(*message.conflicts)
        replicas, slots = zip(*ids)
        to.conflict_replicas.extend(replicas)
        to.conflict_slots.extend(slots)
        to.conflict_committed.extend(committed)


def _decode_validate_ok(message: wire.ValidateOK, n: int) -> ValidateOK:
    ids = _ids(message.conflict_replicas[:], message.conflict_slots[:], n)
    committed = message.conflict_committed[:]
    if len(committed) != len(ids):
        raise WireError(f"columns of {len(ids)} conflicts and {len(committed)} phases")
    return ValidateOK(_id(message, n), _ballot(message.ballot), tuple(map(Conflict, ids, committed)))


def _encode_waiting(message: Waiting, out: wire.Message) -> None:
    to = out.waiting
    to.replica, to.slot = message.id
    to.votes = message.votes


def _decode_waiting(message: wire.Waiting, n: int) -> Waiting:
    if message.votes > n:
        raise WireError(f"{message.votes} votes in a cluster of {n}")
    return Waiting(_id(message, n), message.votes)


def _encode_fetch(message: Fetch, out: wire.Message) -> None:
    to = out.fetch
    to.SetInParent()
    if message.ids:
        replicas, slots = zip(*message.ids)
        to.replicas.extend(replicas)
        to.slots.extend(slots)


def _decode_fetch(message: wire.Fetch, n: int) -> Fetch:
    if len(message.replicas) > FETCHED_MAX:  # before each of them becomes an object, ten times as large
        raise WireError(f"a list of {len(message.replicas)} instances")
    return Fetch(tuple(_ids(message.replicas[:], message.slots[:], n)))


def _encode_heartbeat(message: Heartbeat, out: wire.Message) -> None:
    to = out.heartbeat
    to.committed.extend(message.committed)
    to.executed.extend(message.executed)


def _decode_heartbeat(message: wire.Heartbeat, n: int) -> Heartbeat:
    return Heartbeat(_deps(message.committed, n), _deps(message.executed, n))


def _encode_read(message: Read, out: wire.Message) -> None:
    to = out.read
    to.number = message.number
    to.keys.extend(message.keys)


def _decode_read(message: wire.Read, n: int) -> Read:
    return Read(_read_number(message.number), tuple(message.keys[:]))


def _encode_read_ok(message: ReadOK, out: wire.Message) -> None:
    to = out.read_ok
    to.number = message.number
    to.deps.extend(message.deps)


def _decode_read_ok(message: wire.ReadOK, n: int) -> ReadOK:
    return ReadOK(_read_number(message.number), _deps(message.deps, n))


def _read_number(number: int) -> int:
    if number >= NUMBER_LIMIT:
        raise WireError(f"a read with number {number}")
    return number


_ENCODERS: dict[type[Message], Callable[[Any, wire.Message], None]] = {
    PreAccept: _encode_pre_accept,
    PreAcceptOK: _encode_pre_accept_ok,
    Accept: _encode_accept,
    AcceptOK: _encode_accept_ok,
    Commit: _encode_commit,
    Recover: _encode_recover,
    RecoverOK: _encode_recover_ok,
    Validate: _encode_validate,
    ValidateOK: _encode_validate_ok,
    Waiting: _encode_waiting,
    Fetch: _encode_fetch,
    Heartbeat: _encode_heartbeat,
    Read: _encode_read,
    ReadOK: _encode_read_ok,
}

_DECODERS: dict[str, Callable[[Any, int], Message]] = {
    "pre_accept": _decode_pre_accept,
    "pre_accept_ok": _decode_pre_accept_ok,
    "accept": _decode_accept,
    "accept_ok": _decode_accept_ok,
    "commit": _decode_commit,
    "recover": _decode_recover,
    "recover_ok": _decode_recover_ok,
    "validate": _decode_validate,
    "validate_ok": _decode_validate_ok,
    "waiting": _decode_waiting,
    "fetch": _decode_fetch,
    "heartbeat": _decode_heartbeat,
    "read": _decode_read,
    "read_ok": _decode_read_ok,
}
