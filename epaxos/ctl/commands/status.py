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

HEAD = (
    *("id", "reached", "state", "epoch", "instances", "lag", "held", "memory", "queue", "written", "ver"),
)


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


def _row(answer: Answer, digest: bool) -> list[str]:
    """The row of a member, with or without the `digest`."""
    member = answer.member
    if answer.error is not None:
        return [str(member.number), "no", member.state, *["-"] * (len(HEAD) - 3 + digest)]
    executed, committed = (sum(answer.vector(name)) for name in ("executed", "committed"))
    return [
        *(str(member.number), "yes", member.state, _shown(answer.epoch), f"{executed}/{committed}"),
        *map(_shown, (answer.lag, answer.count("instances_held"))),
        *(size(answer.memory_bytes), _shown(answer.count("commands_queued"))),
        *(size(answer.count("store_bytes")), _shown(answer.version)),
        *([_text(answer.status.get("digest"))] if digest else []),
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


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value.isalnum() and value.isascii() else "-"


def _shown(number: int | None) -> str:
    return "-" if number is None else str(number)


HELP = """
Show all members side by side.

The replica of --at names the members, and each of them is asked on its own client port.  Exit status 0: every
member answered.

With --digest each makes a digest of its whole state, which takes seconds.  Members that have executed the
same have the same.
"""


@click.command("status", Command, help=HELP)
@click.option("--digest", is_flag=True, help="Show the digest of each member's state, too.")
@click.pass_obj
def command(settings: Settings, digest: bool) -> None:
    """Ask all, and print what they say."""
    with progress(f"asking {settings.at} for the members") as say:
        members = members_at(settings)
        say(f"asking {len(members)} members")
        answers = ask_all(settings, members, digest)
    if settings.json:
        print_json(_document(settings, answers))
    else:
        print_table([*HEAD, "digest"] if digest else HEAD, [_row(answer, digest) for answer in answers])
        for note in filter(None, map(_note, answers)):
            click.echo(note)
    silent = [answer for answer in answers if answer.error is not None]
    if silent:
        why = "; ".join(f"replica {answer.member.number}: {answer.error}" for answer in silent)
        raise CtlError(f"{len(silent)} of {len(answers)} members did not answer: {why}")
