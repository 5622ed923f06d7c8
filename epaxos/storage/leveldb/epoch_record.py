"""How the database says in which epoch the replica is, from the first turn of the epoch on.

The key `\\x01epoch` says how the newest epoch began: its members, those of the epoch before, the instance
that ended that one, and the slots up to which it is held.  It is absent in epoch 0.  One write puts it there
with the checkpoint at the beginning of the epoch, raises the format of the database to 4, and takes away the
reservation and the floor of the epoch before (docs: protocol/epochs, T3).  So does the write that installs
the state of another replica (T8); of the epoch before nothing is held then.

Instances of epoch 0 have keys of their row and slot behind `\\x03`.  Those of later epochs have `\\x04`
and the number of their epoch, in 8 bytes, before the same.  The keys of the epoch before are deleted once
every member has opened the newest one, or once that has ended, too.
"""

from __future__ import annotations

import json

from google.protobuf.message import DecodeError

from epaxos.interfaces import EpochRecord
from epaxos.storage.leveldb.records import FORMAT_OF_EPOCHS, RecordFormat
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.checks import id_of
from epaxos.wire.membership import decode_membership, encode_membership

__all__ = ["EPOCH_KEY", "decode_epoch_record", "encode_epoch_record", "raise_format"]

EPOCH_KEY = b"\x01epoch"
"""How the newest epoch began; absent in epoch 0."""


def encode_epoch_record(record: EpochRecord) -> bytes:
    """The vector of what is held of the epoch before, then an EpochIs of `wire.proto`."""
    told = wire.EpochIs()
    encode_membership(record.membership, told.membership)
    encode_membership(record.previous, told.previous)
    told.replica, told.slot = record.opened_by
    return RecordFormat(record.previous.epoch).encode_deps(record.committed) + told.SerializeToString()


def decode_epoch_record(data: bytes, n: int) -> EpochRecord:
    """See `encode_epoch_record`; `n`: the members of the epoch before.  Raises ValueError."""
    size = 8 * n
    try:
        told = wire.EpochIs.FromString(data[size:])
    except DecodeError:
        raise ValueError("its epoch is damaged") from None
    membership, previous = decode_membership(told.membership), decode_membership(told.previous)
    if len(previous.members) != n or previous.number != membership.number - 1:
        raise ValueError(f"its epoch {membership.number} does not fit the one before")
    committed = RecordFormat(previous.epoch).decode_deps(data[:size])
    return EpochRecord(membership, previous, id_of(told, n), committed)


def raise_format(identity: bytes) -> bytes:
    """The identity of a database, with the format of databases that have left epoch 0."""
    fields = json.loads(identity)
    fields["format"] = FORMAT_OF_EPOCHS
    return json.dumps(fields).encode()
