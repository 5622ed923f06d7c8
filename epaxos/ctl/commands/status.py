"""`epaxosctl status`: all members, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from epaxos.ctl.behind import behind_in
from epaxos.ctl.errors import CtlError
from epaxos.ctl.members import Answer, ask_all, members_at
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import print_json, print_table, progress, size

__all__ = ["command"]

HEAD = ("replica", "reached", "state", "epoch", "instances", "lag", "held", "memory", "queue", "written")


def _document(settings: Settings, answers: Sequence[Answer]) -> dict[str, Any]:
    clusters = [answer.status.get("cluster") for answer in answers if answer.error is None]
    return {
        "at": str(settings.at),
        "cluster": clusters[0] if clusters else None,
        "members": [
            {
                "id": answer.member.number,
                "peer": answer.member.peer,
                "client": answer.member.client,
                "status_port": answer.member.status,
                "state": answer.member.state,
                "asked": answer.asked,
                "reached": answer.error is None,
                "error": answer.error,
                "lag": answer.lag,
                "memory_bytes": answer.memory_bytes,
                "status": answer.status if answer.error is None else None,
            }
            for answer in answers
        ],
    }


def _row(answer: Answer) -> list[str]:
    member = answer.member
    if answer.error is not None:
        return [str(member.number), "no", member.state, *["-"] * (len(HEAD) - 3)]
    executed, committed = (sum(answer.vector(name)) for name in ("executed", "committed"))
    return [
        *(str(member.number), "yes", member.state, _shown(answer.epoch), f"{executed}/{committed}"),
        *map(_shown, (answer.lag, answer.count("instances_held"))),
        *(size(answer.memory_bytes), _shown(answer.count("commands_queued"))),
        size(answer.count("store_bytes")),
    ]


def _note(answer: Answer) -> str | None:
    """The line below the table; None for a member that is where the others are."""
    if answer.error is not None:
        return None
    behind = behind_in(answer.status)
    if behind is not None:
        return f"replica {answer.member.number} {behind}"
    if (answer.epoch or 0) < answer.newest_epoch:
        own = "shows no epoch" if answer.epoch is None else f"is in epoch {answer.epoch}"
        return f"replica {answer.member.number} {own}, and the newest is epoch {answer.newest_epoch}"
    return None


def _shown(number: int | None) -> str:
    return "-" if number is None else str(number)


HELP = """
Show all members side by side.

The replica of --at names the members, and each of them is asked on its own client port.  Exit status 0: every
member answered.
"""


@click.command("status", Command, help=HELP)
@click.pass_obj
def command(settings: Settings) -> None:
    """Ask all, and print what they say."""
    with progress(f"asking {settings.at} for the members") as say:
        members = members_at(settings)
        say(f"asking {len(members)} members")
        answers = ask_all(settings, members)
    if settings.json:
        print_json(_document(settings, answers))
    else:
        print_table(HEAD, [_row(answer) for answer in answers])
        for note in filter(None, map(_note, answers)):
            click.echo(note)
    silent = [answer for answer in answers if answer.error is not None]
    if silent:
        why = "; ".join(f"replica {answer.member.number}: {answer.error}" for answer in silent)
        raise CtlError(f"{len(silent)} of {len(answers)} members did not answer: {why}")
