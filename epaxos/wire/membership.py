"""Encodes and decodes memberships, in the same way for messages and for the disk."""

from __future__ import annotations

from epaxos.protocol.values.ids import NUMBER_LIMIT
from epaxos.protocol.values.membership import Member, Membership
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.checks import WireError

__all__ = ["decode_membership", "decode_previous", "encode_membership"]

_UUID_BYTES = 16
_MEMBERS_MAX = 1000


def encode_membership(membership: Membership, to: wire.Membership) -> None:
    """Write `membership` into the message `to`."""
    to.uuid = membership.uuid.to_bytes(_UUID_BYTES, "big")
    to.epoch = membership.number
    to.version = membership.version
    to.numbers.extend(member.number for member in membership.members)
    to.uids.extend(member.uid for member in membership.members)


def decode_membership(message: wire.Membership) -> Membership:
    """What `encode_membership` encoded.  Raises WireError."""
    numbers, uids = message.numbers, message.uids
    if len(message.uuid) != _UUID_BYTES or not any(message.uuid):
        raise WireError("a membership without the uuid of its cluster")
    if message.epoch >= NUMBER_LIMIT:
        raise WireError(f"epoch {message.epoch}")
    if not 0 < len(numbers) == len(uids) <= _MEMBERS_MAX:
        raise WireError(f"a membership with {len(numbers)} numbers and {len(uids)} uids")
    if len(set(numbers)) < len(numbers) or len(set(uids)) < len(uids) or 0 in uids:
        raise WireError("a membership that names a member twice, or one without a uid")
    members = tuple(map(Member, numbers[:], uids[:]))
    return Membership(int.from_bytes(message.uuid, "big"), message.epoch, message.version, members)


def decode_previous(message: wire.Membership, membership: Membership) -> Membership:
    """The members of the epoch before that of `membership`.  Raises WireError."""
    previous = decode_membership(message)
    if previous.uuid != membership.uuid or previous.number != membership.number - 1:
        raise WireError(f"epoch {membership.number} after epoch {previous.number}")
    return previous
