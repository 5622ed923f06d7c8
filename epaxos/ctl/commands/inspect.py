"""`epaxosctl inspect`: what lies in the folder of a replica that does not run, or in a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from epaxos.ctl.backups import print_backup
from epaxos.ctl.errors import CtlError
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import print_fields, print_json, progress, size
from epaxos.interfaces import StoreError
from epaxos.storage.backup.manifest import MANIFEST, BackupManifest
from epaxos.storage.leveldb.restoring import read_backup
from epaxos.storage.leveldb.stopped import StoppedFolder, read_stopped

__all__ = ["command"]


def _document(found: StoppedFolder) -> dict[str, Any]:
    identity = found.identity
    return {
        "folder": str(found.path),
        "format": found.format,
        "cluster": identity.cluster,
        "replica": identity.replica,
        "members": list(found.members),
        "state_machine": identity.state_machine,
        "uid": found.uid,
        "written": found.written,
        "synced": found.synced,
        "epoch": found.epoch,
        "reserved": found.reserved,
        "executed": list(found.executed),
        "executed_beyond": found.executed_beyond,
        "floor": list(found.floor),
        "records": found.records,
        "batches": found.batches,
        "state": {
            "generation": found.generation,
            "base_bytes": found.base_bytes,
            "log_bytes": found.log_bytes,
            "entries": found.entries,
            "batches": found.state_batches,
        },
        "database": {
            "bytes": found.database_bytes,
            "log_bytes": found.database_log_bytes,
            "torn_bytes": found.torn_bytes,
        },
        "incoming_bytes": found.incoming_bytes,
    }


def _fields(found: StoppedFolder) -> list[tuple[str, str]]:
    identity = found.identity
    torn = f"; the last {found.torn_bytes} bytes are torn, the next start sets them aside"
    fields = [
        ("folder", str(found.path)),
        ("format", str(found.format)),
        ("cluster", identity.cluster),
        ("replica", str(identity.replica)),
        ("members", " ".join(map(str, found.members)) or "none: it waits to join"),
        ("state machine", identity.state_machine),
        ("uid", found.uid or "none"),
        ("written", f"{found.written} writes, of which {found.synced} or more were synced"),
        ("epoch", str(found.epoch)),
        ("reserved slot", str(found.reserved)),
        ("executed", f"{_vector(found.executed)}, and {found.executed_beyond} instances beyond"),
        ("floor", _vector(found.floor)),
        ("records", f"{found.records} of this epoch, {found.batches} of them with a batch"),
        ("base of the state", f"{size(found.base_bytes)}, {found.entries} entries"),
        ("log of the state", f"{size(found.log_bytes)}, {found.state_batches} batches"),
        ("database", size(found.database_bytes)),
        ("log of the database", size(found.database_log_bytes) + (torn if found.torn_bytes else "")),
    ]
    if found.incoming_bytes is not None:
        taken = f"{size(found.incoming_bytes)} of another member's state, without effect until it is whole"
        fields.append(("unfinished transfer", taken))
    return fields


def _vector(slots: tuple[int, ...]) -> str:
    return " ".join(map(str, slots))


HELP = """
Show what is in FOLDER, a stopped replica's data or a backup.

Everything in the folder that counts is read and checked.  Nothing in it is written; no replica can start
from it meanwhile.
"""


@click.command("inspect", Command, help=HELP)
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def command(settings: Settings, folder: Path) -> None:
    """Read the folder, and print what it holds."""
    backup: BackupManifest | None = None
    try:
        with progress(f"reading {folder}"):
            if (folder / MANIFEST).exists():
                backup = read_backup(folder)
            else:
                found = read_stopped(folder)
    except StoreError as error:
        raise CtlError(str(error)) from None
    if backup is not None:
        print_backup(settings, folder, backup)
    elif settings.json:
        print_json(_document(found))
    else:
        print_fields(_fields(found))
