"""Encodes and decodes memberships, in the same way for messages and for the disk."""

from __future__ import annotations

from epaxos.protocol.values.ids import NUMBER_LIMIT
from epaxos.protocol.values.membership import (
    ADDRESS_BYTES_MAX,
    MEMBERS_MAX,
    NUMBER_MAX,
    WHY_BYTES_MAX,
    Member,
    Membership,
    is_writable,
)
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.checks import WireError

__all__ = ["decode_member", "decode_membership", "decode_previous", "encode_membership"]

_UUID_BYTES = 16


def encode_membership(membership: Membership, to: wire.Membership) -> None:
    """Write `membership` into the message `to`."""
    to.uuid = membership.uuid.to_bytes(_UUID_BYTES, "big")
    to.epoch = membership.number
    to.version = membership.version
    numbers, uids, *addresses = zip(*membership.members)
    if membership.next_number:
        to.next_number = membership.next_number
        to.changed_numbers.extend(numbers)
        to.changed_uids.extend(uids)
    else:
        to.numbers.extend(numbers)
        to.uids.extend(uids)
    for column, texts in zip((to.peer_connects, to.client_connects, to.status_connects), addresses):
        if any(texts):
            column.extend(texts)
    to.why, to.at = membership.why, membership.at


def decode_membership(message: wire.Membership) -> Membership:
    """What `encode_membership` encoded.  Raises WireError."""
    if len(message.uuid) != _UUID_BYTES or not any(message.uuid):
        raise WireError("a membership without the uuid of its cluster")
    if message.epoch >= NUMBER_LIMIT or message.at >= NUMBER_LIMIT:
        raise WireError(f"epoch {message.epoch}, of the time {message.at}")
    members = _decode_members(message)
    next_number = message.next_number
    if next_number and not max(member.number for member in members) < next_number <= NUMBER_MAX + 1:
        raise WireError(f"a membership below the number {next_number}")
    _check_text(message.why, WHY_BYTES_MAX)
    uuid = int.from_bytes(message.uuid, "big")
    return Membership(uuid, message.epoch, message.version, members, next_number, message.why, message.at)


def _decode_members(message: wire.Membership) -> tuple[Member, ...]:
    if message.next_number:
        numbers, uids = message.changed_numbers[:], message.changed_uids[:]
    else:
        numbers, uids = message.numbers[:], message.uids[:]
    size = len(numbers)
    if not 0 < size == len(uids) <= MEMBERS_MAX:
        raise WireError(f"a membership with {size} numbers and {len(uids)} uids")
    if (
        len(set(numbers)) < size
        or len(set(uids)) < size
        or (message.next_number and numbers != sorted(numbers))
    ):
        raise WireError("a membership that names a member twice, or in the wrong order")
    columns = message.peer_connects[:], message.client_connects[:], message.status_connects[:]
    if any(len(column) not in (0, size) for column in columns):
        raise WireError(f"a membership of {size} with other addresses")
    addresses = (column or [""] * size for column in columns)
    return tuple(map(decode_member, numbers, uids, *addresses))


def decode_member(
    number: int, uid: int, peer_connect: str = "", client_connect: str = "", status_connect: str = ""
) -> Member:
    """A member, whose fields have been checked.  Raises WireError."""
    if not uid or number > NUMBER_MAX:
        raise WireError(f"a member {number} with the uid {uid}")
    for address in (peer_connect, client_connect, status_connect):
        _check_text(address, ADDRESS_BYTES_MAX)
    return Member(number, uid, peer_connect, client_connect, status_connect)


def _check_text(text: str, bytes_max: int) -> None:
    if not is_writable(text, bytes_max):
        raise WireError("a text that is too long, or is not printable")


def decode_previous(message: wire.Membership, membership: Membership) -> Membership:
    """The members of the epoch before that of `membership`.  Raises WireError."""
    previous = decode_membership(message)
    if previous.uuid != membership.uuid or previous.number != membership.number - 1:
        raise WireError(f"epoch {membership.number} after epoch {previous.number}")
    return previous
