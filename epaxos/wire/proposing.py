"""Encodes and decodes PreAccept, Accept, Commit and their answers: see codec.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epaxos.protocol.values.messages import Accept, AcceptOK, Commit, Message, PreAccept, PreAcceptOK
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.batch import encode_batch, optional_batch, proposed
from epaxos.wire.checks import ballot_of, fast_quorum_of, id_of, own_deps_of

__all__ = ["DECODERS", "ENCODERS"]


def _encode_value(message: Accept | Commit, to: wire.Accept | wire.Commit) -> None:
    to.replica, to.slot = message.id
    to.ballot = message.ballot
    if message.batch is not None:
        to.batch = encode_batch(message.batch)
    to.deps.extend(message.deps)


def _encode_pre_accept(message: PreAccept, out: wire.Message) -> None:
    to = out.pre_accept
    to.replica, to.slot = message.id
    to.batch = encode_batch(message.batch)
    to.deps.extend(message.deps)
    to.fast_quorum.extend(message.fast_quorum)


def _decode_pre_accept(message: wire.PreAccept, n: int) -> PreAccept:
    id = id_of(message, n)
    return PreAccept(
        id, proposed(message), own_deps_of(id, message.deps, n), fast_quorum_of(id, message.fast_quorum, n)
    )


def _encode_pre_accept_ok(message: PreAcceptOK, out: wire.Message) -> None:
    to = out.pre_accept_ok
    to.replica, to.slot = message.id
    to.deps.extend(message.deps)


def _decode_pre_accept_ok(message: wire.PreAcceptOK, n: int) -> PreAcceptOK:
    id = id_of(message, n)
    return PreAcceptOK(id, own_deps_of(id, message.deps, n))


def _encode_accept(message: Accept, out: wire.Message) -> None:
    _encode_value(message, out.accept)


def _decode_accept(message: wire.Accept, n: int) -> Accept:
    id = id_of(message, n)
    return Accept(id, ballot_of(message.ballot), optional_batch(message), own_deps_of(id, message.deps, n))


def _encode_accept_ok(message: AcceptOK, out: wire.Message) -> None:
    to = out.accept_ok
    to.replica, to.slot = message.id
    to.ballot = message.ballot


def _decode_accept_ok(message: wire.AcceptOK, n: int) -> AcceptOK:
    return AcceptOK(id_of(message, n), ballot_of(message.ballot))


def _encode_commit(message: Commit, out: wire.Message) -> None:
    _encode_value(message, out.commit)


def _decode_commit(message: wire.Commit, n: int) -> Commit:
    id = id_of(message, n)
    return Commit(id, ballot_of(message.ballot), optional_batch(message), own_deps_of(id, message.deps, n))


ENCODERS: dict[type[Message], Callable[[Any, wire.Message], None]] = {
    PreAccept: _encode_pre_accept,
    PreAcceptOK: _encode_pre_accept_ok,
    Accept: _encode_accept,
    AcceptOK: _encode_accept_ok,
    Commit: _encode_commit,
}

DECODERS: dict[str, Callable[[Any, int], Message]] = {
    "pre_accept": _decode_pre_accept,
    "pre_accept_ok": _decode_pre_accept_ok,
    "accept": _decode_accept,
    "accept_ok": _decode_accept_ok,
    "commit": _decode_commit,
}
