"""What a backup says of itself: `manifest.json`, which people can read.

It names the cluster, the epoch at whose beginning the state was taken, and the files with what counts of
each.  Its `checksum` is the SHA-256 of the document without it, as JSON with sorted keys and no spaces.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from epaxos.protocol.values.ids import NUMBER_LIMIT
from epaxos.protocol.values.membership import UID_LIMIT, UUID_LIMIT, Member
from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.state.manifest import decode_manifest, encode_manifest, manifest_of
from epaxos.storage.state.names import file_of, part_path

__all__ = ["MANIFEST", "BackupManifest", "decode_backup", "document_of", "encode_backup", "name_of"]

MANIFEST = "manifest.json"
FORMAT = 1
"""The version of the document, and of the files that it names."""


class BackupManifest(NamedTuple):
    """A backup: the state at the beginning of epoch `epoch`, whose members are `members`.

    `replica` made it, at the UTC time `made`; `digest`: that of the state, as `GET /status` shows it;
    `parts`: the base, if there is one, then the logs in the order in which they are read.
    """

    cluster: str
    uuid: int
    epoch: int
    version: int
    members: tuple[Member, ...]
    state_machine: str
    replica: int
    made: str
    digest: str
    parts: tuple[StatePart, ...]

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(part.length for part in self.parts)


def name_of(part: StatePart) -> str:
    """The name of the file."""
    return part_path(Path(), part.generation, part.is_base).name


def document_of(manifest: BackupManifest) -> dict[str, Any]:
    """The manifest as JSON."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "cluster": manifest.cluster,
        "uuid": f"{manifest.uuid:032x}",
        "epoch": manifest.epoch,
        "version": manifest.version,
        "members": [{"number": each.number, "uid": f"{each.uid:016x}"} for each in manifest.members],
        "state_machine": manifest.state_machine,
        "replica": manifest.replica,
        "made": manifest.made,
        "digest": manifest.digest,
        "bytes": manifest.bytes,
        "files": [{"name": name_of(part), "bytes": part.length, "crc": part.crc} for part in manifest.parts],
    }
    document["checksum"] = _checksum(document)
    return document


def encode_backup(manifest: BackupManifest) -> bytes:
    """The file."""
    return json.dumps(document_of(manifest), indent=2).encode() + b"\n"


def decode_backup(data: bytes) -> BackupManifest:
    """See `encode_backup`.  Raises ValueError, with what is wrong."""
    try:
        document = json.loads(data)
        checksum = document.pop("checksum")
        format = document["format"]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ValueError("its manifest is damaged") from None
    if format != FORMAT:
        raise ValueError(f"it is a backup of format {format}, and this version knows only format {FORMAT}")
    if checksum != _checksum(document):
        raise ValueError("its manifest is damaged: its checksum is wrong")
    try:
        return _manifest(document)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError("its manifest is of no backup that there can be") from None


def _manifest(document: dict[str, Any]) -> BackupManifest:
    members = [Member(_number(each["number"]), int(each["uid"], 16)) for each in document["members"]]
    parts = [
        StatePart(*file_of(each["name"]), _number(each["bytes"]), _number(each["crc"], 1 << 32))
        for each in document["files"]
    ]
    manifest = BackupManifest(
        _text(document["cluster"]),
        int(document["uuid"], 16),
        _number(document["epoch"]),
        _number(document["version"]),
        tuple(members),
        _text(document["state_machine"]),
        _number(document["replica"]),
        _text(document["made"]),
        _text(document["digest"]),
        tuple(parts),
    )
    is_possible = (
        0 < manifest.uuid < UUID_LIMIT
        and all(0 < member.uid < UID_LIMIT for member in members)
        and not any(part.is_base for part in parts[1:])
        and all(part.length for part in parts)
    )
    if not is_possible:
        raise ValueError("impossible")
    decode_manifest(encode_manifest(manifest_of(parts)))  # it raises for files that make no state
    return manifest


def _checksum(document: dict[str, Any]) -> str:
    return sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _number(value: Any, limit: int = NUMBER_LIMIT) -> int:
    if not isinstance(value, int) or not 0 <= value < limit:
        raise ValueError(f"the impossible number {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value
