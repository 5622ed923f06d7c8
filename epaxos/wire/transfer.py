"""Encodes and decodes the messages of the transfer of a state: see control.py.

Every number is checked here, so that the rest of the program may rely on it: what a file is named and how
long it is, that an offer names no file twice and a base only at its head, and that no piece is longer than
allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epaxos.protocol.values.ids import NUMBER_LIMIT
from epaxos.protocol.values.transfer import PIECE_BYTES_MAX, Piece, PieceAsk, StateAsk, StateOffer, StatePart
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.checks import WireError, deps_of, id_of, ids_of
from epaxos.wire.membership import decode_membership, decode_previous, encode_membership

__all__ = ["DECODERS", "ENCODERS"]

PARTS_MAX = 1000
"""The most files of a state; there are a base and a few logs."""
BEYOND_MAX = 250_000
"""The most instances that a state holds out of order; no replica executes nearly as many around a gap."""


def _encode_state_ask(ask: StateAsk, out: wire.Control) -> None:
    out.state_ask.beyond = ask.beyond
    out.state_ask.SetInParent()


def _decode_state_ask(message: wire.StateAsk) -> StateAsk:
    if message.beyond >= NUMBER_LIMIT:
        raise WireError(f"a state beyond epoch {message.beyond}")
    return StateAsk(message.beyond)


def _encode_state_offer(offer: StateOffer, out: wire.Control) -> None:
    to = out.state_offer
    encode_membership(offer.membership, to.membership)
    encode_membership(offer.previous, to.previous)
    to.replica, to.slot = offer.opened_by
    to.executed.extend(offer.executed)
    if offer.beyond:
        replicas, slots = zip(*offer.beyond)
        to.beyond_replicas.extend(replicas)
        to.beyond_slots.extend(slots)
    for part in offer.parts:
        added = to.parts.add()
        added.generation, added.is_base, added.length, added.crc = part


def _decode_state_offer(message: wire.StateOffer) -> StateOffer:
    if len(message.parts) > PARTS_MAX or len(message.beyond_slots) > BEYOND_MAX:
        size = f"{len(message.parts)} files and {len(message.beyond_slots)} instances out of order"
        raise WireError(f"a state of {size}")
    membership = decode_membership(message.membership)
    previous = decode_previous(message.previous, membership)
    n = len(membership.members)
    return StateOffer(
        membership,
        id_of(message, len(previous.members)),
        previous,
        deps_of(message.executed, n),
        tuple(ids_of(message.beyond_replicas[:], message.beyond_slots[:], n)),
        _parts_of(message),
    )


def _parts_of(message: wire.StateOffer) -> tuple[StatePart, ...]:
    parts = tuple(StatePart(part.generation, part.is_base, part.length, part.crc) for part in message.parts)
    for part in parts:
        _check_bytes(part.generation, part.length)
    if sum(part.length for part in parts) >= NUMBER_LIMIT or any(part.is_base for part in parts[1:]):
        raise WireError("files that are no state")
    if len({part[:2] for part in parts}) < len(parts):
        raise WireError("a state that names a file twice")
    return parts


def _encode_piece_ask(ask: PieceAsk, out: wire.Control) -> None:
    to = out.piece_ask
    to.generation, to.is_base, to.offset, to.size = ask


def _decode_piece_ask(message: wire.PieceAsk) -> PieceAsk:
    if not 0 < message.size <= PIECE_BYTES_MAX:
        raise WireError(f"a piece of {message.size} bytes")
    _check_bytes(message.generation, message.offset + message.size)
    return PieceAsk(message.generation, message.is_base, message.offset, message.size)


def _encode_piece(piece: Piece, out: wire.Control) -> None:
    to = out.piece
    to.SetInParent()
    to.generation, to.is_base, to.offset, to.data = piece


def _decode_piece(message: wire.Piece) -> Piece:
    if len(message.data) > PIECE_BYTES_MAX:
        raise WireError(f"a piece of {len(message.data)} bytes")
    _check_bytes(message.generation, message.offset + len(message.data))
    return Piece(message.generation, message.is_base, message.offset, message.data)


def _check_bytes(generation: int, end: int) -> None:
    if generation >= NUMBER_LIMIT or end >= NUMBER_LIMIT:
        raise WireError(f"byte {end} of file {generation}")


ENCODERS: dict[type[Any], Callable[[Any, wire.Control], None]] = {
    StateAsk: _encode_state_ask,
    StateOffer: _encode_state_offer,
    PieceAsk: _encode_piece_ask,
    Piece: _encode_piece,
}

DECODERS: dict[str, Callable[[Any], Any]] = {
    "state_ask": _decode_state_ask,
    "state_offer": _decode_state_offer,
    "piece_ask": _decode_piece_ask,
    "piece": _decode_piece,
}
