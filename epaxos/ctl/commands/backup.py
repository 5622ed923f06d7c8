"""`epaxosctl backup`: a backup of the running cluster, on this host."""

from __future__ import annotations

from pathlib import Path

import click

from epaxos.ctl.backups import print_backup
from epaxos.ctl.errors import AskError, CtlError, Refused
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import Counted, Say, progress
from epaxos.ctl.pulling import Pulling
from epaxos.storage.backup.manifest import BackupManifest

__all__ = ["command"]

MAKING_S = 300.0
"""The least time in seconds that the replica has to make the backup: it computes a digest of the state."""

HELP = """
Make a backup of the cluster in DIR.

It holds everything that was acknowledged before, by any member; of what clients do meanwhile, it holds
nothing that came after something that it lacks.  Clients go on.  The replica of --at makes it in its data
folder, by beginning the next epoch; then it is taken to DIR and checked, and removed there.  When that was
interrupted, the same command goes on where it was.
"""


@click.command("backup", Command, help=HELP)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--keep", is_flag=True, help="Leave the backup in the data folder of the replica, too.")
@click.pass_obj
def command(settings: Settings, folder: Path, keep: bool) -> None:
    """Make the backup, take it, and say what it is."""
    pulling = Pulling(folder)
    try:
        pulling.begin()
        with progress(f"waiting for {settings.at}") as say:
            manifest = _pull(settings, pulling, say)
    except Refused as error:
        raise CtlError(str(error)) from None
    except AskError as error:
        raise CtlError(f"{error}; the same command goes on where it was") from None
    except OSError as error:
        raise CtlError(f"{error.filename or folder}: {error.strerror}") from None
    if not keep:
        _delete(settings, pulling.name, folder)
    print_backup(settings, folder, manifest)


def _pull(settings: Settings, pulling: Pulling, say: Say) -> BackupManifest:
    timeout_s = max(settings.timeout, MAKING_S)
    with settings.connect(timeout_s=timeout_s) as connection:
        manifest = pulling.manifest(connection)
    taken = Counted("taking the backup", manifest.bytes, say)
    with settings.connect() as connection:
        for part in manifest.parts:
            pulling.take(connection, part, taken.add)
    pulling.finish(manifest)
    return manifest


def _delete(settings: Settings, name: str, folder: Path) -> None:
    """Remove the backup at the replica.  Raises CtlError."""
    try:
        with settings.connect() as connection:
            connection.ask("EPAXOS", "BACKUP-DELETE", name)
    except AskError as error:
        raise CtlError(
            f"{error}; {folder} is complete, and the replica may still have its backup {name}, which"
            " EPAXOS BACKUP-DELETE removes"
        ) from None
