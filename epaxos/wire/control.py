"""Encodes and decodes what belongs to no epoch: what replicas tell each other about epochs, and the transfer
of a state (`wire/transfer.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from epaxos.protocol.values.control import Candidate, Control, EpochIs, Founded, Standing, Written
from epaxos.protocol.values.ids import NUMBER_LIMIT
from epaxos.wire import transfer
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.checks import WireError, id_of
from epaxos.wire.membership import decode_member, decode_membership, decode_previous, encode_membership

__all__ = ["UnknownKindError", "decode_control", "encode_control"]


def encode_control(control: Control) -> bytes:
    """The control message alone."""
    out = wire.Control()
    _ENCODERS[type(control)](control, out)
    return out.SerializeToString()


class UnknownKindError(WireError):
    """A control message of a kind that only later versions know."""


def decode_control(data: bytes) -> Control:
    """What `encode_control` encoded.  Raises WireError, UnknownKindError among them."""
    try:
        message = wire.Control.FromString(data)
    except DecodeError:
        raise WireError("not a control message") from None
    kind = message.WhichOneof("kind")
    if kind is None:
        if not data:
            raise WireError("an empty control message")
        raise UnknownKindError("a control message of an unknown kind")
    return _DECODERS[kind](getattr(message, kind))


def _encode_standing(control: Standing, out: wire.Control) -> None:
    to = out.standing
    to.SetInParent()
    to.epoch, to.installed, to.asks = control


def _decode_standing(message: wire.Standing) -> Standing:
    if not message.installed <= message.epoch < NUMBER_LIMIT:
        raise WireError(f"epoch {message.epoch}, with the state of epoch {message.installed}")
    return Standing(message.epoch, message.installed, message.asks)


def _encode_epoch_is(control: EpochIs, out: wire.Control) -> None:
    to = out.epoch_is
    encode_membership(control.membership, to.membership)
    if control.previous is not None and control.opened_by is not None:
        encode_membership(control.previous, to.previous)
        to.replica, to.slot = control.opened_by
    to.is_safe = control.is_safe


def _decode_epoch_is(message: wire.EpochIs) -> EpochIs:
    membership = decode_membership(message.membership)
    if not message.HasField("previous"):
        return EpochIs(membership, is_safe=message.is_safe)
    previous = decode_previous(message.previous, membership)
    return EpochIs(membership, id_of(message, len(previous.members)), previous, message.is_safe)


def _encode_written(control: Written, out: wire.Control) -> None:
    out.written.number = control.number
    out.written.SetInParent()


def _decode_written(message: wire.Written) -> Written:
    if message.number >= NUMBER_LIMIT:
        raise WireError(f"write {message.number}")
    return Written(message.number)


def _encode_founded(control: Founded, out: wire.Control) -> None:
    encode_membership(control.membership, out.founded.membership)


def _decode_founded(message: wire.Founded) -> Founded:
    membership = decode_membership(message.membership)
    if membership.number:
        raise WireError(f"epoch {membership.number} as the first one")
    return Founded(membership)


def _encode_candidate(control: Candidate, out: wire.Control) -> None:
    to, member = out.candidate, control.member
    to.number, to.uid, to.peer_connect, to.client_connect, to.status_connect = member
    if control.behind is not None:
        to.behind = control.behind


def _decode_candidate(message: wire.Candidate) -> Candidate:
    addresses = message.peer_connect, message.client_connect, message.status_connect
    member = decode_member(message.number, message.uid, *addresses)
    if message.behind >= NUMBER_LIMIT:
        raise WireError(f"a candidate that lacks {message.behind} bytes")
    return Candidate(member, message.behind if message.HasField("behind") else None)


_ENCODERS: dict[type[Control], Callable[[Any, wire.Control], None]] = {
    Standing: _encode_standing,
    EpochIs: _encode_epoch_is,
    Written: _encode_written,
    Founded: _encode_founded,
    Candidate: _encode_candidate,
    **transfer.ENCODERS,
}

_DECODERS: dict[str, Callable[[Any], Control]] = {
    "standing": _decode_standing,
    "epoch_is": _decode_epoch_is,
    "written": _decode_written,
    "founded": _decode_founded,
    "candidate": _decode_candidate,
    **transfer.DECODERS,
}
