"""The format of the database: what a replica keeps on disk, as keys and values.

The first byte of a key is its kind.  Slots and numbers are big-endian, so that a restart scans the
database in order.  The proposed batch of an instance has a key of its own, right behind that of the
record, because the batch is written once and the record several times.  Nothing here reads or writes a
disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from itertools import chain
from struct import Struct, error, iter_unpack, pack
from typing import Any

from google.protobuf.message import DecodeError

from epaxos.interfaces import Identity
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import NUMBER_LIMIT, Deps, InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.membership import Membership
from epaxos.protocol.values.messages import Batch, Phase
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.codec import decode_batch, encode_batch
from epaxos.wire.membership import decode_membership, encode_membership

__all__ = [
    "CHECKPOINT_KEY",
    "FLOOR_KEY",
    "FORMAT",
    "FORMAT_OF_CHANGES",
    "FORMAT_OF_EPOCHS",
    "FOUNDED_KEY",
    "IDENTITY_KEY",
    "INSTANCE_PREFIX",
    "LATER_PREFIX",
    "RESERVED_KEY",
    "STATE_KEY",
    "UID_KEY",
    "WRITE_PREFIX",
    "RecordFormat",
    "check_founders",
    "check_identity",
    "decode_format",
    "decode_founded",
    "decode_identity",
    "decode_number",
    "decode_uid",
    "encode_founded",
    "encode_identity",
    "encode_number",
    "encode_uid",
    "write_key",
]

FORMAT = 3
"""The version of all bytes on disk: of this module, and of manifest.py and pieces.py in `state/`.

A store of another version is refused."""
FORMAT_OF_EPOCHS = 4
"""The format of a database that has left epoch 0.  Versions that know of no epochs refuse it."""
FORMAT_OF_CHANGES = 5
"""The format of a database of a replica that wants to join, or whose epoch has other members than the first
one, or the same at other addresses.  Versions that know of no such lists refuse it."""
FORMAT_OF_VERSIONS = 6
"""The format of a database whose list of members says a later version than the first one.  Programs of that
one refuse it."""
FORMATS = range(FORMAT, FORMAT_OF_VERSIONS + 1)
"""Those that this program knows."""

IDENTITY_KEY = b"\x00identity"
RESERVED_KEY = b"\x01reserved"
FLOOR_KEY = b"\x01floor"
CHECKPOINT_KEY = b"\x01checkpoint"
STATE_KEY = b"\x01state"
"""The manifest of the files of the state (`state/manifest.py`)."""
UID_KEY = b"\x01uid"
"""The random number of the folder, 8 bytes.  A folder of an older version gets one when it is opened."""
FOUNDED_KEY = b"\x01founded"
"""The first members of the cluster, as a Membership of `wire.proto`; empty until the replica is told.

Folders of older versions have no such key.  These versions look at neither key."""
WRITE_PREFIX = b"\x02"
"""The numbers of the latest writes, which show whether one is missing (`sequence.py`)."""
INSTANCE_PREFIX = b"\x03"
"""Of the instances of epoch 0."""
LATER_PREFIX = b"\x04"
"""Of those of later epochs; the number of the epoch follows."""

_NUMBER = Struct(">Q")
_NUMBERED_KEY = Struct(">cQ")
_INSTANCE_KEY = Struct(">cHQB")
_LATER_KEY = Struct(">cQHQB")
_PLACE = Struct(">HQB")
_RECORD, _BATCH = 0, 1
_NO_INIT_DEPS, _SAME_INIT_DEPS, _OWN_INIT_DEPS = range(3)
_PHASES = tuple(Phase)
_VALUES = tuple(Value)


def encode_number(number: int) -> bytes:
    """Eight bytes, in the order of the numbers."""
    return _NUMBER.pack(number)


def decode_number(data: bytes) -> int:
    """See `encode_number`.  Raises ValueError."""
    try:
        (number,) = _NUMBER.unpack(data)
    except error:
        raise ValueError(f"a number of {len(data)} bytes") from None
    if number >= NUMBER_LIMIT:
        raise ValueError(f"the impossible number {number}")
    return int(number)


def encode_uid(uid: int) -> bytes:
    """Eight bytes."""
    return _NUMBER.pack(uid)


def decode_uid(data: bytes) -> int:
    """See `encode_uid`.  Raises ValueError."""
    if len(data) != _NUMBER.size or not any(data):
        raise ValueError(f"a uid of {len(data)} bytes, or one of zeros")
    return int.from_bytes(data, "big")


def encode_founded(founded: Membership | None) -> bytes:
    """A list of members; empty when nobody has told who they are."""
    if founded is None:
        return b""
    message = wire.Membership()
    encode_membership(founded, message)
    return message.SerializeToString()


def decode_founded(data: bytes) -> Membership | None:
    """See `encode_founded`.  Raises ValueError."""
    if not data:
        return None
    try:
        return decode_membership(wire.Membership.FromString(data))
    except DecodeError:
        raise ValueError("the list of the first members is damaged") from None


def write_key(number: int) -> bytes:
    """The key that the write of this number leaves."""
    return _NUMBERED_KEY.pack(WRITE_PREFIX, number)


def encode_identity(identity: Identity) -> bytes:
    """The owner and the format of the data as JSON, which people and every later version can read."""
    fields = {
        "format": FORMAT if identity.epoch.n else FORMAT_OF_CHANGES,
        "cluster": identity.cluster,
        "replica": identity.replica,
        "n": identity.epoch.n,
        "state_machine": identity.state_machine,
    }
    return json.dumps(fields).encode()


def decode_format(data: bytes) -> int:
    """The format of the data whose identity this is.  Raises ValueError if it is damaged."""
    return _fields(data)[0]


def decode_identity(data: bytes) -> Identity:
    """See `encode_identity`.  Raises ValueError if it is damaged, or of a format that the text names."""
    format, fields = _fields(data)
    if format not in FORMATS:
        known = f"{FORMATS[0]} to {FORMATS[-1]}"
        raise ValueError(f"it is in storage format {format}, and this version knows only formats {known}")
    try:
        n = fields.pop("n")
        return Identity(epoch=Epoch.first(n) if n else Epoch.none(), **fields)
    except (KeyError, TypeError, ValueError):
        raise ValueError("its identity is damaged") from None


def _fields(data: bytes) -> tuple[int, dict[str, Any]]:
    """The format, and the other fields.  Only the format is known to every version."""
    try:
        fields = json.loads(data)
        format: int = fields.pop("format")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise ValueError("its identity is damaged") from None
    return format, fields


def check_identity(held: Identity, wanted: Identity) -> None:
    """Raise ValueError, which says what differs, unless `held` is `wanted`, but for the first members."""
    for found, expected, what in (
        (held.cluster, wanted.cluster, "it belongs to cluster {!r}, not to {!r}"),
        (held.replica, wanted.replica, "it belongs to replica {}, not to replica {}"),
        (
            held.state_machine,
            wanted.state_machine,
            "it holds the state of the state machine {!r}, not of {!r}",
        ),
    ):
        if found != expected:
            raise ValueError(what.format(found, expected))


def check_founders(held: Epoch, wanted: Epoch, is_founded: bool) -> None:
    """Raise ValueError unless a folder that was made for the first members `held` serves for `wanted`.

    The folder has not left their epoch.  `is_founded`: it holds their list, so that a replica which is told
    to join is one of them already.
    """
    if held.n == wanted.n or (is_founded and not wanted.n):
        return
    if not held.n:
        raise ValueError("it waits to join a cluster: start the replica with --join")
    if not wanted.n:
        raise ValueError(
            f"it is that of a first member of a cluster of {held.n}: start the replica without --join"
        )
    raise ValueError(f"it belongs to a cluster of {held.n}, not of {wanted.n}")


class RecordFormat:
    """Encodes and decodes keys and values, some of which depend on the number of replicas.

    All decoding raises ValueError for anything that the encoding cannot have made.
    """

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        n = self.n = epoch.n
        if epoch.number <= 0:
            self._key = partial(_INSTANCE_KEY.pack, INSTANCE_PREFIX)
            self.prefix = INSTANCE_PREFIX
        else:
            self._key = partial(_LATER_KEY.pack, LATER_PREFIX, epoch.number)
            self.prefix = LATER_PREFIX + _NUMBER.pack(epoch.number)
        self._deps = Struct(f">{n}Q")
        # phase, value, what init_deps is, the fast quorum as bits; bal, abal; deps
        self._record = Struct(f">BBBBQQ{n}Q")
        self._record_and_init_deps = Struct(f">BBBBQQ{2 * n}Q")

    # -- vectors

    def encode_deps(self, deps: Deps) -> bytes:
        """The vector alone."""
        return self._deps.pack(*deps)

    def decode_deps(self, data: bytes) -> Deps:
        """See `encode_deps`."""
        if len(data) != self._deps.size:
            raise ValueError(f"a vector of {len(data)} bytes in a cluster of {self.n}")
        deps = self._deps.unpack(data)
        if max(deps) >= NUMBER_LIMIT:
            raise ValueError(f"a vector with slot {max(deps)}")
        return deps

    # -- instances

    def record_key(self, id: InstanceId) -> bytes:
        """The key of the record of `id`."""
        return self._key(id.replica, id.slot, _RECORD)

    def batch_key(self, id: InstanceId) -> bytes:
        """The key of the proposed batch of `id`, right behind that of the record."""
        return self._key(id.replica, id.slot, _BATCH)

    def decode_instance_key(self, key: bytes) -> tuple[InstanceId, bool]:
        """The instance, and whether the key is that of its batch (else of its record)."""
        at = len(self.prefix)
        if len(key) != at + _PLACE.size:
            raise ValueError(f"an instance key of {len(key)} bytes")
        replica, slot, kind = _PLACE.unpack_from(key, at)
        id = InstanceId(replica, slot)
        if replica >= self.n or not 0 < slot < NUMBER_LIMIT or kind > _BATCH:
            raise ValueError(f"an impossible instance, {id}")
        return id, kind == _BATCH

    def encode_record(self, record: InstanceRecord) -> bytes:
        """The record without its id, which is in the key."""
        _, phase, bal, abal, value, deps, init_deps, fast_quorum = record
        named = sum(1 << replica for replica in fast_quorum)
        if init_deps is None:
            return self._record.pack(phase, value, _NO_INIT_DEPS, named, bal, abal, *deps)
        if init_deps == deps:
            return self._record.pack(phase, value, _SAME_INIT_DEPS, named, bal, abal, *deps)
        return self._record_and_init_deps.pack(
            phase, value, _OWN_INIT_DEPS, named, bal, abal, *deps, *init_deps
        )

    def decode_record(self, id: InstanceId, data: bytes) -> InstanceRecord:
        """See `encode_record`."""
        if len(data) == self._record.size:
            phase, value, which, named, bal, abal, *vector = self._record.unpack(data)
            init_deps = tuple(vector) if which == _SAME_INIT_DEPS else None
            fits = which < _OWN_INIT_DEPS
        elif len(data) == self._record_and_init_deps.size:
            phase, value, which, named, bal, abal, *vector = self._record_and_init_deps.unpack(data)
            init_deps = tuple(vector[self.n :])
            fits = which == _OWN_INIT_DEPS
        else:
            raise ValueError(f"the record of instance {id} has {len(data)} bytes")
        if not fits or phase >= len(_PHASES) or value >= len(_VALUES) or named >> self.n:
            raise ValueError(f"the record of instance {id} cannot be understood")
        deps = tuple(vector[: self.n])
        fast_quorum = tuple(replica for replica in range(self.n) if named >> replica & 1)
        record = InstanceRecord(id, _PHASES[phase], bal, abal, _VALUES[value], deps, init_deps, fast_quorum)
        if not _is_possible(record):
            raise ValueError(f"the record of instance {id} is of no instance that there can be")
        return record

    def encode_batch(self, batch: Batch) -> bytes:
        """The batch as it is sent between replicas."""
        return encode_batch(batch)

    def decode_batch(self, id: InstanceId, data: bytes) -> Batch:
        """The batch that was proposed in `id`."""
        try:
            return decode_batch(data)
        except ValueError as why:
            raise ValueError(f"the batch of instance {id} is damaged ({why})") from None

    # -- checkpoints, without the state

    def encode_checkpoint(self, executed: Deps, beyond: Iterable[InstanceId]) -> bytes:
        """How far execution was: every instance up to `executed`, and those of `beyond`."""
        flat = list(chain.from_iterable(beyond))
        return self._deps.pack(*executed) + pack(f">{len(flat)}Q", *flat)

    def decode_checkpoint(self, data: bytes) -> tuple[Deps, tuple[InstanceId, ...]]:
        """See `encode_checkpoint`."""
        size = self._deps.size
        executed = self.decode_deps(data[:size])
        try:
            beyond = tuple(map(InstanceId._make, iter_unpack(">QQ", data[size:])))
        except error:
            raise ValueError(f"a checkpoint of {len(data)} bytes") from None
        if any(replica >= self.n or not 0 < slot < NUMBER_LIMIT for replica, slot in beyond):
            raise ValueError("a checkpoint with an impossible instance")
        return executed, beyond


def _is_possible(record: InstanceRecord) -> bool:
    """Whether there can be an instance with this record."""
    id, phase, bal, abal, value, deps, init_deps, _ = record
    if not abal <= bal < NUMBER_LIMIT or (phase < Phase.ACCEPTED and abal):
        return False
    if any(max(v) >= NUMBER_LIMIT or v[id.replica] >= id.slot for v in (deps, init_deps or deps)):
        return False
    if phase is Phase.PREACCEPTED:
        return value is Value.PROPOSED and init_deps is not None
    return value is not Value.UNKNOWN or phase is Phase.INITIAL
