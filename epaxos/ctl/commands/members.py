"""`epaxosctl members`: who belongs to the cluster, and who wants to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import click

from epaxos.ctl.errors import AskError, CtlError
from epaxos.ctl.ini import ini_of
from epaxos.ctl.members import (
    Candidate,
    Change,
    Member,
    candidates_at,
    history_at,
    members_at,
    status_of,
)
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import print_json, print_table, progress, size

__all__ = ["command"]

HEAD = ("replica", "state", "version", "uid", "peer", "client", "status")
HISTORY_HEAD = ("epoch", "proposed", "members", "why")


def _document(
    settings: Settings, members: Sequence[Member], candidates: Sequence[Candidate]
) -> dict[str, Any]:
    return {
        "at": str(settings.at),
        "members": [
            {
                "id": member.number,
                "uid": member.uid or None,
                "state": member.state,
                "version": int(member.version) if member.version.isdecimal() else None,
                "peer": member.peer,
                "client": member.client,
                "status_port": member.status,
            }
            for member in members
        ],
        "candidates": [
            {
                "id": candidate.number,
                "uid": candidate.uid,
                "peer": candidate.peer,
                "client": candidate.client,
                "status_port": candidate.status,
                "behind_bytes": candidate.behind_bytes,
            }
            for candidate in candidates
        ],
        "history": None,
    }


def _rows(members: Sequence[Member], candidates: Sequence[Candidate]) -> list[list[str]]:
    rows = [
        [str(each.number), each.state, each.version, each.uid, each.peer, each.client, each.status]
        for each in members
    ]
    rows += [
        [str(each.number), _state(each), "", each.uid, each.peer, each.client, each.status]
        for each in candidates
    ]
    return [[cell or "-" for cell in row] for row in rows]


def _state(candidate: Candidate) -> str:
    behind_bytes = candidate.behind_bytes
    if behind_bytes is None:
        return "joins, has no state yet"
    return f"joins, lacks {size(behind_bytes)}" if behind_bytes else "joins"


def _show_history(settings: Settings, changes: Sequence[Change]) -> None:
    if settings.json:
        shown = [
            {"epoch": each.epoch, "at": each.at, "why": each.why, "members": list(each.members)}
            for each in changes
        ]
        print_json({"at": str(settings.at), "members": None, "candidates": None, "history": shown})
    else:
        rows = [
            [str(each.epoch), _time(each.at), ", ".join(map(str, each.members)), each.why or "-"]
            for each in changes
        ]
        print_table(HISTORY_HEAD, rows)


def _time(seconds: int) -> str:
    """A time for people; `-` when it is not known, or none that there can be."""
    try:
        found = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return "-"
    return found.strftime("%Y-%m-%d %H:%M:%S UTC") if seconds else "-"


def _ini(settings: Settings) -> str:
    """The members as a configuration file.  Raises CtlError."""
    members = members_at(settings)
    try:
        with settings.connect() as connection:
            status = status_of(connection)
    except AskError as error:
        raise CtlError(str(error)) from None
    except ValueError as error:
        raise CtlError(f"{settings.at}: {error}") from None
    try:
        name, state_machine, epoch = status["cluster"], status["state_machine"], status["epoch"]["number"]
    except (KeyError, TypeError):
        raise CtlError(f"{settings.at}: its status cannot be understood") from None
    return ini_of(str(name), str(state_machine), int(epoch), members)


HELP = """
Show who belongs to the cluster, as the replica of --at knows it, and who wants to join it.

The uid is that of the data folder of a member.  Behind "joins" stands how much of the state that replica
still lacks; it can be added when that is almost nothing.  The version is the highest that the program of a
member can do; epaxosctl turn raises that of the cluster once all have a higher one.
"""


@click.command(
    "members",
    Command,
    help=HELP,
    params=[
        click.Option(
            ["--history"],
            is_flag=True,
            help="Show instead the lists of members that this replica has seen begin, up to 100.",
        ),
        click.Option(
            ["--ini"],
            is_flag=True,
            help="Print instead the sections of a configuration file with these members.",
        ),
    ],
)
@click.pass_obj
def command(settings: Settings, history: bool, ini: bool) -> None:
    """Ask the replica of --at, and print what it says."""
    if ini:
        if history or settings.json:
            raise CtlError("--ini goes with neither --history nor --json")
        click.echo(_ini(settings), nl=False)
        return
    with progress(f"asking {settings.at} for the members"):
        if history:
            changes = history_at(settings)
        else:
            members, candidates = members_at(settings), candidates_at(settings)
    if history:
        _show_history(settings, changes)
    elif settings.json:
        print_json(_document(settings, members, candidates))
    else:
        print_table(HEAD, _rows(members, candidates))
