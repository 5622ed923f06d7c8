"""How the database says in which epoch the replica is, from the first turn of the epoch on.

The key `\\x01epoch` says how the newest epoch began: its members, those of the epoch before, the instance
that ended that one, and the slots up to which it is held.  It is absent in epoch 0.  The keys `\\x01past`
and one byte hold the last PAST_MAX lists of members that began here, for people.  One write puts both there
with the checkpoint at the beginning of the epoch, raises the format of the database, and takes away the
reservation and the floor of the epoch before (docs: protocol/epochs, T3).  So does the write that installs
the state of another replica (T8); of the epoch before nothing is held then.  The format is 4; it is 5 once
the members are not those of epoch 0 any more, each at its address of then, and 6 once the version of the
list is not the first one.

Instances of epoch 0 have keys of their row and slot behind `\\x03`.  Those of later epochs have `\\x04`
and the number of their epoch, in 8 bytes, before the same.  The keys of the epoch before are deleted once
every member has opened the newest one, or once that has ended, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from operator import attrgetter

from google.protobuf.message import DecodeError

from epaxos.interfaces import EpochRecord
from epaxos.protocol.values.membership import FIRST_VERSION, Membership
from epaxos.storage.leveldb.records import (
    FORMAT,
    FORMAT_OF_CHANGES,
    FORMAT_OF_EPOCHS,
    FORMAT_OF_VERSIONS,
    RecordFormat,
)
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.checks import deps_of, id_of
from epaxos.wire.membership import decode_membership, encode_membership

__all__ = [
    "EPOCH_KEY",
    "PAST_PREFIX",
    "decode_epoch_record",
    "decode_past",
    "encode_epoch_record",
    "past_key",
    "raise_format",
]

EPOCH_KEY = b"\x01epoch"
"""How the newest epoch began; absent in epoch 0."""
PAST_PREFIX = b"\x01past"
"""The lists of members that began here lie behind this."""
PAST_MAX = 100
"""The number of these lists that are kept, for people."""
_CHANGED = b"\xff"
"""Before a record of other members than the first ones: no vector begins with it."""


def encode_epoch_record(record: EpochRecord) -> bytes:
    """The vector of what is held of the epoch before, then an EpochIs of `wire.proto`.

    Where the members have changed, the vector is in the EpochIs, and _CHANGED stands before that.
    """
    told = wire.EpochIs()
    encode_membership(record.membership, told.membership)
    encode_membership(record.previous, told.previous)
    told.replica, told.slot = record.opened_by
    if record.membership.next_number:
        told.committed.extend(record.committed)
        return _CHANGED + told.SerializeToString()
    return RecordFormat(record.previous.epoch).encode_deps(record.committed) + told.SerializeToString()


def decode_epoch_record(data: bytes, n: int) -> EpochRecord:
    """See `encode_epoch_record`; `n`: how many members the cluster was founded with.  Raises ValueError."""
    is_changed = data.startswith(_CHANGED)
    size = len(_CHANGED) if is_changed else 8 * n
    try:
        told = wire.EpochIs.FromString(data[size:])
    except DecodeError:
        raise ValueError("its epoch is damaged") from None
    membership, previous = decode_membership(told.membership), decode_membership(told.previous)
    if previous.number != membership.number - 1 or not (is_changed or len(previous.members) == n):
        raise ValueError(f"its epoch {membership.number} does not fit the one before")
    n = len(previous.members)
    if is_changed:
        committed = deps_of(told.committed, n)
    else:
        committed = RecordFormat(previous.epoch).decode_deps(data[:size])
    return EpochRecord(membership, previous, id_of(told, n), committed)


def past_key(membership: Membership) -> bytes:
    """Where the list lies, in the place of the one PAST_MAX epochs before."""
    return PAST_PREFIX + bytes((membership.number % PAST_MAX,))


def decode_past(lists: Iterable[bytes]) -> tuple[Membership, ...]:
    """The lists of members that began here, the oldest first.  Raises ValueError."""
    try:
        past = [decode_membership(wire.Membership.FromString(data)) for data in lists]
    except DecodeError:
        raise ValueError("a list of earlier members is damaged") from None
    return tuple(sorted(past, key=attrgetter("number")))


def raise_format(identity: bytes, membership: Membership) -> bytes:
    """The identity of a database, with the format of databases that are in the epoch of `membership`."""
    fields = json.loads(identity)
    if membership.version != FIRST_VERSION:
        needed = FORMAT_OF_VERSIONS
    elif membership.next_number:
        needed = FORMAT_OF_CHANGES
    else:
        needed = FORMAT_OF_EPOCHS if membership.number else FORMAT
    fields["format"] = max(fields["format"], needed)
    return json.dumps(fields).encode()
