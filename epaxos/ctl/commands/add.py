"""`epaxosctl add`: a replica joins the cluster."""

from __future__ import annotations

import click

from epaxos.ctl.change import CHANGE_OPTIONS, NUMBER, change
from epaxos.ctl.options import Command, Settings

__all__ = ["command"]

HELP = """
Let replica NUMBER join.

It runs already, with --join and the peer address of a member, and has taken the state of one: epaxosctl
members shows it below the members.  The answer comes when so many of the new members have begun the epoch
that the old ones are not needed any more.
"""


@click.command("add", Command, help=HELP, params=[click.Argument(["number"], type=NUMBER), *CHANGE_OPTIONS])
@click.pass_obj
def command(settings: Settings, number: int, dry_run: bool, force: bool) -> None:
    """Ask the replica of --at, and say which epoch began."""
    change(settings, ("ADD", str(number)), dry_run, force)
