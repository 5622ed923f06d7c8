"""`epaxosctl wait-ready`: until a replica serves."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any, NamedTuple

import click

from epaxos.ctl.behind import behind_in
from epaxos.ctl.errors import AskError, CtlError, Refused, Unreached
from epaxos.ctl.members import status_of
from epaxos.ctl.options import SECONDS, Command, Settings
from epaxos.ctl.output import Say, print_json, progress

__all__ = ["command"]

POLL_S = 0.2
LEAST_S = 0.1
"""The shortest wait for an answer, when almost no time is left."""
CAUSE_S = 1.0
"""The longest wait for the status of a replica that has just answered a PING, also when no time is left."""
KEY = "epaxosctl:wait-ready"
"""The key that is read.  Nobody needs to have written it."""
NO_QUORUM = "CLUSTERDOWN no quorum"
FOR_GOOD = ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "ERR AUTH", "ERR unknown command 'EPAXOS'")
"""Refusals that time does not change."""


class Lack(NamedTuple):
    """What a replica lacks to serve, and, when it takes a state, what it has of that, from 0 to 1.

    `why` does not name the replica: it stands behind its address.
    """

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
                    return _cause(settings, refused, is_alone=refused.reply.startswith(NO_QUORUM))
                if not refused.reply.startswith("ERR ") or refused.reply.startswith("ERR max number"):
                    raise
                return _lacks(status_of(connection))  # its state machine has no GET
            except Unreached as error:
                return _cause(settings, error, is_alone=True)
    except Refused as refused:
        if refused.reply.startswith(FOR_GOOD):
            raise CtlError(str(refused)) from None
        return _told(settings, refused)
    except AskError as error:
        return _told(settings, error)
    except ValueError as why:
        return Lack(str(why))
    return None


def _told(settings: Settings, error: AskError) -> Lack:
    """The error itself, without the address at its beginning."""
    return Lack(str(error).removeprefix(f"{settings.at}: "))


def _cause(settings: Settings, error: AskError, is_alone: bool) -> Lack:
    """Why a read was refused or not answered, as far as the status tells: a state is taken, or, if `is_alone`
    says that this may be, no majority is up.  Otherwise the error itself.

    The status is asked on a connection of its own, because an answer there comes behind that to the read.
    """
    try:
        with settings.connect(timeout_s=CAUSE_S) as connection:
            status = status_of(connection)
        found = _lacks_state(status) or (_lacks_majority(status) if is_alone else None)
    except (AskError, ValueError):
        found = None
    return found or _told(settings, error)


def _lacks_state(status: dict[str, Any]) -> Lack | None:
    behind = behind_in(status)
    return None if behind is None else Lack(f"it {behind}", behind.share)


def _lacks_majority(status: dict[str, Any]) -> Lack | None:
    """A replica must see a majority, itself included.  Raises ValueError."""
    members = status.get("members")
    if not isinstance(members, list) or not members or not all(isinstance(each, dict) for each in members):
        raise ValueError("its status cannot be understood")
    up = sum(bool(member.get("up")) for member in members)
    if up > len(members) // 2:
        return None
    return Lack(f"no majority of the members is up: it sees {up} of {len(members)}")


def _lacks(status: dict[str, Any]) -> Lack | None:
    """What a replica that cannot be read from lacks.  Raises ValueError."""
    alone = _lacks_majority(status)
    taking = _lacks_state(status)
    if taking is not None:
        return taking
    runs = status.get("running", status.get("digest") is not None)  # what earlier versions show
    return alone if runs else Lack("it starts or stops")


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
            say(f"waiting for {settings.at}: {why}", found.share)
        left_s = deadline - monotonic()
        if left_s <= 0:
            return why
        sleep(min(POLL_S, left_s))
