"""`epaxosctl turn`: begin the next epoch of the cluster."""

from __future__ import annotations

import click

from epaxos.ctl.errors import AskError, CtlError
from epaxos.ctl.members import version_at
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import print_json, progress

__all__ = ["command"]

HELP = """
Begin the next epoch, with the same members.

No key is lost.  The instances of the epoch before (the log, not the data) are deleted once every member is in
the new epoch, or once the new epoch has ended, too.  A majority of the members has to be connected; with
engine = memory, every member.  Clients go on meanwhile.

The new epoch has the highest version that the programs of all members can do, if all are connected.  From
then on commands of that version are served, and no program of an earlier version can take a data folder back.
"""


@click.command("turn", Command, help=HELP)
@click.pass_obj
def command(settings: Settings) -> None:
    """Ask the replica of --at, and say which epoch began."""
    try:
        with progress(f"waiting for {settings.at}"), settings.connect() as connection:
            epoch = connection.ask("EPAXOS", "TURN")
            version = version_at(connection)
    except AskError as error:
        raise CtlError(str(error)) from None
    if not isinstance(epoch, int):
        raise CtlError(f"{settings.at} answered {epoch!r}, which is no number of an epoch")
    if settings.json:
        print_json({"epoch": epoch, "version": version})
    else:
        at = "" if version is None else f"; the cluster is at version {version}"
        click.echo(f"epoch {epoch} has begun, and is safe{at}")
