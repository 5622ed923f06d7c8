"""`epaxosctl wait-ready`: until a replica serves."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

import click

from epaxos.ctl.errors import AskError, CtlError, Refused
from epaxos.ctl.members import status_of
from epaxos.ctl.options import SECONDS, Command, Settings
from epaxos.ctl.output import print_json, progress

__all__ = ["command"]

POLL_S = 0.2
LEAST_S = 0.1
"""The shortest wait for an answer, when almost no time is left."""
KEY = "epaxosctl:wait-ready"
"""The key that is read.  Nobody needs to have written it."""
FOR_GOOD = ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "ERR AUTH", "ERR unknown command 'EPAXOS'")
"""Refusals that time does not change."""


def _waits_for(settings: Settings, timeout_s: float) -> str | None:
    """What the replica of `--at` lacks to serve; None when it serves.  Raises CtlError when it never will."""
    try:
        with settings.connect(timeout_s=timeout_s) as connection:
            connection.ask("PING")
            try:
                connection.ask("GET", KEY)
            except Refused as refused:
                if not refused.reply.startswith("ERR ") or refused.reply.startswith("ERR max number"):
                    raise
                return _lacks(status_of(connection))  # its state machine has no GET
    except Refused as refused:
        if refused.reply.startswith(FOR_GOOD):
            raise CtlError(str(refused)) from None
        return str(refused)
    except AskError as error:
        return str(error)
    except ValueError as why:
        return f"{settings.at}: {why}"
    return None


def _lacks(status: dict[str, object]) -> str | None:
    """What a replica that cannot be read from lacks: it must see a majority, itself included."""
    members = status.get("members")
    if not isinstance(members, list) or not members or not all(isinstance(each, dict) for each in members):
        raise ValueError("its status cannot be understood")
    up = sum(bool(member.get("up")) for member in members)
    if status.get("digest") is None:
        return "the replica starts or stops"
    return None if up > len(members) // 2 else f"it sees {up} of {len(members)} members up"


HELP = """
Wait until the replica of --at serves.

It serves when it answers PING and a read, which takes a majority of the members.  A refusal that time does
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


def _wait(settings: Settings, deadline: float, say: Callable[[str], None]) -> str | None:
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
            why = found
            say(f"waiting for {why}")
        left_s = deadline - monotonic()
        if left_s <= 0:
            return why
        sleep(min(POLL_S, left_s))
