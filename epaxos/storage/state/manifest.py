"""The manifest: which files are the state, and how many bytes of each count.

It is one record in the database, so it is written in one step with how far execution is.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct, error
from typing import NamedTuple

from epaxos.protocol.values.ids import NUMBER_LIMIT
from epaxos.protocol.values.transfer import StatePart

__all__ = ["Manifest", "StateFile", "decode_manifest", "encode_manifest", "manifest_of", "parts_of"]

_FILE = Struct(">QQI")


class StateFile(NamedTuple):
    """What counts of a file of the state: its first `length` bytes.

    `crc` is the checksum of the last piece in them.  If `length` is 0 there need be no file.
    """

    generation: int
    length: int = 0
    crc: int = 0


class Manifest(NamedTuple):
    """The files of the state: a base, and the logs of what was executed since then, the oldest first."""

    base: StateFile
    logs: tuple[StateFile, ...] = ()


def parts_of(manifest: Manifest) -> tuple[StatePart, ...]:
    """The files of a state: its base, if there is one, and its logs."""
    base, logs = manifest
    parts = [StatePart(base.generation, True, base.length, base.crc)] if base.length else []
    return (*parts, *(StatePart(log.generation, False, log.length, log.crc) for log in logs))


def manifest_of(parts: Iterable[StatePart]) -> Manifest:
    """See `parts_of`."""
    files = [(part.is_base, StateFile(part.generation, part.length, part.crc)) for part in parts]
    logs = tuple(file for is_base, file in files if not is_base)
    base = next((file for is_base, file in files if is_base), StateFile(logs[0].generation if logs else 0))
    return Manifest(base, logs)


def encode_manifest(manifest: Manifest) -> bytes:
    """The value of the record."""
    return b"".join(_FILE.pack(*file) for file in (manifest.base, *manifest.logs))


def decode_manifest(data: bytes) -> Manifest:
    """See `encode_manifest`.  Raises ValueError."""
    try:
        base, *logs = map(StateFile._make, _FILE.iter_unpack(data))
    except (error, ValueError):
        raise ValueError(f"a list of the files of the state of {len(data)} bytes") from None
    generations = [file.generation for file in logs]
    if (
        any(max(file.generation, file.length) >= NUMBER_LIMIT for file in (base, *logs))
        or generations != sorted(set(generations))
        or (generations and generations[0] < base.generation)
        or not all(file.length for file in logs)
    ):
        raise ValueError("an impossible list of the files of the state")
    return Manifest(base, tuple(logs))
