"""How a backup is shown: by the command that makes one, and by the one that looks into it."""

from __future__ import annotations

from pathlib import Path

from epaxos.ctl.options import Settings
from epaxos.ctl.output import print_fields, print_json, size
from epaxos.storage.backup.manifest import BackupManifest, document_of

__all__ = ["print_backup"]


def print_backup(settings: Settings, folder: Path, manifest: BackupManifest) -> None:
    """Print what the backup in `folder` is."""
    if settings.json:
        print_json({"folder": str(folder), **document_of(manifest)})
        return
    print_fields(
        [
            ("backup", str(folder)),
            ("cluster", manifest.cluster),
            ("made", f"{manifest.made}, by replica {manifest.replica}"),
            ("epoch", f"{manifest.epoch}, with {len(manifest.members)} members"),
            ("size", size(manifest.bytes)),
            ("digest", manifest.digest),
        ]
    )
