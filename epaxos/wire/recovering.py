"""Encodes and decodes Recover, Validate, Waiting and their answers: see codec.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epaxos.protocol.values.messages import (
    NOP,
    Conflict,
    Message,
    Phase,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.batch import encode_batch, optional_batch, proposed
from epaxos.wire.checks import WireError, ballot_of, fast_quorum_of, id_of, ids_of, own_deps_of

__all__ = ["DECODERS", "ENCODERS"]


_PHASES: dict[int, Phase] = {int(phase): phase for phase in Phase}


def _encode_recover(message: Recover, out: wire.Message) -> None:
    to = out.recover
    to.replica, to.slot = message.id
    to.ballot = message.ballot


def _decode_recover(message: wire.Recover, n: int) -> Recover:
    return Recover(id_of(message, n), ballot_of(message.ballot))


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
    id = id_of(message, n)
    answer = RecoverOK(
        id,
        ballot_of(message.ballot),
        ballot_of(message.accepted_ballot),
        phase,
        optional_batch(message),
        own_deps_of(id, message.deps, n),
        own_deps_of(id, message.init_deps, n) if message.init_deps else None,
        fast_quorum_of(id, message.fast_quorum, n),
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
    id = id_of(message, n)
    return Validate(id, ballot_of(message.ballot), proposed(message), own_deps_of(id, message.deps, n))


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
    ids = ids_of(message.conflict_replicas[:], message.conflict_slots[:], n)
    committed = message.conflict_committed[:]
    if len(committed) != len(ids):
        raise WireError(f"columns of {len(ids)} conflicts and {len(committed)} phases")
    return ValidateOK(id_of(message, n), ballot_of(message.ballot), tuple(map(Conflict, ids, committed)))


def _encode_waiting(message: Waiting, out: wire.Message) -> None:
    to = out.waiting
    to.replica, to.slot = message.id
    to.votes = message.votes


def _decode_waiting(message: wire.Waiting, n: int) -> Waiting:
    if message.votes > n:
        raise WireError(f"{message.votes} votes in a cluster of {n}")
    return Waiting(id_of(message, n), message.votes)


ENCODERS: dict[type[Message], Callable[[Any, wire.Message], None]] = {
    Recover: _encode_recover,
    RecoverOK: _encode_recover_ok,
    Validate: _encode_validate,
    ValidateOK: _encode_validate_ok,
    Waiting: _encode_waiting,
}

DECODERS: dict[str, Callable[[Any, int], Message]] = {
    "recover": _decode_recover,
    "recover_ok": _decode_recover_ok,
    "validate": _decode_validate,
    "validate_ok": _decode_validate_ok,
    "waiting": _decode_waiting,
}
