"""`epaxosctl remove`: a member leaves the cluster."""

from __future__ import annotations

import click

from epaxos.ctl.change import CHANGE_OPTIONS, NUMBER, change
from epaxos.ctl.options import Command, Settings

__all__ = ["command"]

HELP = """
Let the member NUMBER leave.

It need not run.  If it does, it ends by itself, once the others do not need it any more.  Its number is never
used again.
"""


@click.command(
    "remove", Command, help=HELP, params=[click.Argument(["number"], type=NUMBER), *CHANGE_OPTIONS]
)
@click.pass_obj
def command(settings: Settings, number: int, dry_run: bool, force: bool) -> None:
    """Ask the replica of --at, and say which epoch began."""
    change(settings, ("REMOVE", str(number)), dry_run, force)
