"""`epaxosctl doctor`: what is wrong with a cluster, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from epaxos.ctl.errors import one_line
from epaxos.ctl.health.findings import findings
from epaxos.ctl.health.values import Finding
from epaxos.ctl.members import ask_all, members_at
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import print_json, progress

__all__ = ["command"]

AGAIN_S = 1.0
"""Seconds after which all are asked once more, because a link or a start that goes on is soon over."""

HELP = """
Say what is wrong with the cluster, and what to do about it.

The replica of --at names the members, and each of them is asked for its status on its own client port.
Nothing is changed.  When something is wrong, all are asked once more after a second, and only what is still
wrong is told.  Exit status 0: nothing is wrong; 1: something is, or nobody could be asked.
"""


@click.command("doctor", Command, help=HELP)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Ask all, and print what is wrong."""
    settings = ctx.ensure_object(Settings)
    with progress(f"asking {settings.at} for the members") as say:
        members = members_at(settings)
        say(f"asking {len(members)} members")
        answers = ask_all(settings, members)
        found = findings(answers, time.time())
        if found:
            say("something is wrong; asking once more")
            time.sleep(AGAIN_S)
            before = {(each.code, each.members) for each in found}
            answers = ask_all(settings, members)
            found = [each for each in findings(answers, time.time()) if (each.code, each.members) in before]
    if settings.json:
        print_json(
            {
                "at": str(settings.at),
                "members": [answer.member.number for answer in answers],
                "findings": [each._asdict() for each in found],
            }
        )
    else:
        _print(len(answers), found)
    ctx.exit(1 if found else 0)


def _print(count: int, found: Sequence[Finding]) -> None:
    for finding in found:
        click.echo(f"{finding.severity}: {one_line(finding.what)}")
        click.echo(f"    {one_line(finding.todo)}")
    if not found:
        click.echo(f"nothing is wrong with the {count} members")
