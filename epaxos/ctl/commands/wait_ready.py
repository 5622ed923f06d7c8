"""`epaxosctl wait-ready`: until a replica serves."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any, NamedTuple

import click

from epaxos.ctl.behind import behind_in
from epaxos.ctl.connection import Connection
from epaxos.ctl.errors import AskError, CtlError, Refused
from epaxos.ctl.members import status_of
from epaxos.ctl.options import SECONDS, Command, Settings
from epaxos.ctl.output import Say, print_json, progress

__all__ = ["command"]

POLL_S = 0.2
LEAST_S = 0.1
"""The shortest wait for an answer, when almost no time is left."""
KEY = "epaxosctl:wait-ready"
"""The key that is read.  Nobody needs to have written it."""
FOR_GOOD = ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "ERR AUTH", "ERR unknown command 'EPAXOS'")
"""Refusals that time does not change."""


class Lack(NamedTuple):
    """What a replica lacks to serve, and, when it takes a state, what it has of that, from 0 to 1."""

    why: str
    share: float | None = None


def _waits_for(settings: Settings, timeout_s: float) -> Lack | None:
    """What the replica of `--at` lacks to serve; None when it serves.  Raises CtlError when it never will."""
    try:
        with settings.connect(timeout_s=timeout_s) as connection:
            connection.ask("PING")
            try:
                connection.ask("GET", KEY)
            except Refused as refused:
                if refused.reply.startswith("CLUSTERDOWN"):
                    return _taking(connection) or Lack(str(refused))
                if not refused.reply.startswith("ERR ") or refused.reply.startswith("ERR max number"):
                    raise
                return _lacks(status_of(connection))  # its state machine has no GET
    except Refused as refused:
        if refused.reply.startswith(FOR_GOOD):
            raise CtlError(str(refused)) from None
        return Lack(str(refused))
    except AskError as error:
        return Lack(str(error))
    except ValueError as why:
        return Lack(f"{settings.at}: {why}")
    return None


def _taking(connection: Connection) -> Lack | None:
    """What a replica that refuses commands says of a state that it takes; None when it takes none, or does
    not tell."""
    try:
        return _lacks_state(status_of(connection))
    except (AskError, ValueError):
        return None


def _lacks_state(status: dict[str, Any]) -> Lack | None:
    behind = behind_in(status)
    return None if behind is None else Lack(f"the replica: it {behind}", behind.share)


def _lacks(status: dict[str, Any]) -> Lack | None:
    """What a replica that cannot be read from lacks: it must see a majority, itself included."""
    members = status.get("members")
    if not isinstance(members, list) or not members or not all(isinstance(each, dict) for each in members):
        raise ValueError("its status cannot be understood")
    up = sum(bool(member.get("up")) for member in members)
    taking = _lacks_state(status)
    if taking is not None:
        return taking
    if status.get("digest") is None:
        return Lack("the replica starts or stops")
    return None if up > len(members) // 2 else Lack(f"it sees {up} of {len(members)} members up")


HELP = """
Wait until the replica of --at serves.

It serves when it answers PING and a read, which takes a majority of the members.  A member that takes the
state of another one does not serve yet; on a terminal its progress is shown.  A refusal that time does
not change, such as a wrong password, ends the wait.
"""


@click.command("wait-ready", Command, help=HELP)
@click.option(
    *("--timeout", "wait_s"),
    type=SECONDS,
    default=60.0,
    show_default=True,
    help="How long to wait for it.",
)
@click.pass_obj
def command(settings: Settings, wait_s: float) -> None:
    """Ask until it serves, or the time is over."""
    began = monotonic()
    with progress(f"waiting for {settings.at}") as say:
        why = _wait(settings, began + wait_s, say)
    if settings.json:
        waited_s = round(monotonic() - began, 3)
        print_json({"at": str(settings.at), "ready": why is None, "waited_s": waited_s, "waits_for": why})
    if why is not None:
        raise CtlError(f"{settings.at} does not serve after {wait_s:g} s: {why}")


def _wait(settings: Settings, deadline: float, say: Say) -> str | None:
    """Ask until the replica serves (then None is returned), or the deadline has passed: what it lacks then.

    An attempt that the deadline cuts short finds out less than the one before it, whose reason is kept.
    """
    why: str | None = None
    while True:
        left_s = deadline - monotonic()
        found = _waits_for(settings, max(LEAST_S, min(settings.timeout, left_s)))
        if found is None:
            return None
        if why is None or monotonic() < deadline:
            why = found.why
            say(f"waiting for {why}", found.share)
        left_s = deadline - monotonic()
        if left_s <= 0:
            return why
        sleep(min(POLL_S, left_s))
