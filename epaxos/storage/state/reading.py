"""Reads the files of the state at a start: only the bytes that the manifest names count, all are checked.

Everything here raises StoreError when any of these bytes is missing or damaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeVar

from epaxos.interfaces import StoreError, WrongDataError
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.storage.state.manifest import Manifest, StateFile
from epaxos.storage.state.names import base_path, log_path
from epaxos.storage.state.pieces import decode_batches, decode_entries, read_pieces

__all__ = ["read_base", "read_logs"]

T = TypeVar("T")


def read_base(folder: Path, manifest: Manifest) -> Iterator[dict[bytes, bytes]]:
    """The entries of the base, in parts."""
    base = manifest.base
    return map(dict, _read(base_path(folder, base.generation), base, decode_entries))


def read_logs(folder: Path, manifest: Manifest) -> Iterator[tuple[InstanceId, Batch]]:
    """The batches that were executed since the base, in order."""
    for log in manifest.logs:
        yield from chain.from_iterable(_read(log_path(folder, log.generation), log, _batches))


def _batches(payload: bytes) -> list[tuple[InstanceId, Batch]]:
    """All batches of a piece, so that a damaged one is found before the first of them is handed out."""
    return list(decode_batches(payload))


def _read(path: Path, file: StateFile, decode: Callable[[bytes], T]) -> Iterator[T]:
    """The payloads of what counts of the file, decoded.  `decode` raises ValueError for a damaged one."""
    if not file.length:
        return
    try:
        with path.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            if size < file.length:
                raise ValueError(f"it has {size} of {file.length} bytes")
            yield from map(decode, read_pieces(opened, file.length, file.crc))
    except FileNotFoundError:
        raise WrongDataError(f"{path} is damaged: it is missing") from None
    except ValueError as why:
        raise WrongDataError(f"{path} is damaged: {why}") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
