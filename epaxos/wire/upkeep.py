"""Encodes and decodes Fetch, Heartbeat, Read and ReadOK: see codec.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epaxos.protocol.values.clocks import Clocks, Echo
from epaxos.protocol.values.ids import NUMBER_LIMIT
from epaxos.protocol.values.messages import Fetch, Heartbeat, Message, Read, ReadOK
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.checks import WireError, deps_of, ids_of

__all__ = ["DECODERS", "ENCODERS"]


FETCHED_MAX = 4096
"""The most instances in one Fetch; no replica asks for nearly as many."""


def _read_number(number: int) -> int:
    if number >= NUMBER_LIMIT:
        raise WireError(f"a read with number {number}")
    return number


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
    return Fetch(tuple(ids_of(message.replicas[:], message.slots[:], n)))


def _encode_heartbeat(message: Heartbeat, out: wire.Message) -> None:
    to = out.heartbeat
    to.committed.extend(message.committed)
    to.executed.extend(message.executed)
    if message.clocks is not None:
        to.clocks.at_ms, to.clocks.wall_ms, to.clocks.cluster_ms, echoes = message.clocks
        to.clocks.echoed_ms.extend(echo.at_ms for echo in echoes)
        to.clocks.held_ms.extend(echo.held_ms for echo in echoes)


def _decode_heartbeat(message: wire.Heartbeat, n: int) -> Heartbeat:
    clocks = _decode_clocks(message.clocks, n) if message.HasField("clocks") else None
    return Heartbeat(deps_of(message.committed, n), deps_of(message.executed, n), clocks)


def _decode_clocks(message: wire.Clocks, n: int) -> Clocks:
    times = message.at_ms, message.wall_ms, message.cluster_ms
    if max(times) >= NUMBER_LIMIT or not message.at_ms:
        raise WireError(f"clocks that show {times}")
    echoes = map(Echo, deps_of(message.echoed_ms, n), deps_of(message.held_ms, n))
    return Clocks(*times, tuple(echoes))


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
    return ReadOK(_read_number(message.number), deps_of(message.deps, n))


ENCODERS: dict[type[Message], Callable[[Any, wire.Message], None]] = {
    Fetch: _encode_fetch,
    Heartbeat: _encode_heartbeat,
    Read: _encode_read,
    ReadOK: _encode_read_ok,
}

DECODERS: dict[str, Callable[[Any, int], Message]] = {
    "fetch": _decode_fetch,
    "heartbeat": _decode_heartbeat,
    "read": _decode_read,
    "read_ok": _decode_read_ok,
}
