"""`epaxosctl replace`: a replica joins the cluster in the place of a member."""

from __future__ import annotations

import click

from epaxos.ctl.change import CHANGE_OPTIONS, NUMBER, change
from epaxos.ctl.options import Command, Settings

__all__ = ["command"]

HELP = """
Let a replica join in the place of the member OLD, in one step.

OLD need not run: this is for a member whose disk is lost, too.  The new replica runs already, as for
epaxosctl add.
"""
PARAMS: list[click.Parameter] = [
    click.Argument(["old"], type=NUMBER),
    click.Option(
        ["--by", "new"], type=NUMBER, required=True, metavar="NEW", help="The number of the new replica."
    ),
    *CHANGE_OPTIONS,
]


@click.command("replace", Command, help=HELP, params=PARAMS)
@click.pass_obj
def command(settings: Settings, old: int, new: int, dry_run: bool, force: bool) -> None:
    """Ask the replica of --at, and say which epoch began."""
    change(settings, ("REPLACE", str(old), "BY", str(new)), dry_run, force)
