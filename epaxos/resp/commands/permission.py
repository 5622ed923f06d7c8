"""What a user may do: the units and the keys of all commands, and the rights that scripts take along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from epaxos.interfaces import Command, CommandError, IClients
from epaxos.interfaces.access import Access, Denied, Units, check_keys
from epaxos.interfaces.users import AS, KeyUse
from epaxos.resp.commands.described import described
from epaxos.resp.commands.epaxos import ONCE, ONCE_COMMAND, TRACE, TRACE_COMMAND
from epaxos.resp.commands.spec import Served

__all__ = ["denied_of", "inside_of", "units_with", "uses_of", "with_rights"]

_SCRIPTS = frozenset([b"EVAL", b"EVAL_RO", b"EVALSHA", b"EVALSHA_RO"])
_BEFORE_INSIDE = {ONCE: ONCE_COMMAND, TRACE: TRACE_COMMAND}
_SCRIPT_INSIDE = CommandError(
    "NOPERM scripts inside EPAXOS ONCE or TRACE are for users that may run all commands on all keys and"
    " channels"
)


def units_with(units: Units, served: Mapping[bytes, Served]) -> Units:
    """`units`, and those of the commands that connections answer."""
    found = dict(units)
    for name, command in served.items():
        about = described(name)
        common = {category.lstrip("@") for category in about.categories}
        speed = "fast" if "fast" in about.flags else "slow"
        for sub in (*command.subcommands, b"HELP") if command.subcommands else ():
            admin = {"admin", "dangerous"} if sub in about.admin else set()
            found[b"|".join([name, sub]).lower()] = frozenset({*common, *admin, speed})
        is_whole = command.handler is not None or not command.subcommands
        found[name.lower()] = frozenset({*common, speed} if is_whole else ())
    return found


def uses_of(replica: IClients, command: Command) -> Sequence[KeyUse]:
    """The keys that a command names.  Raises CommandError where it cannot run at all."""
    name = command[0].upper()
    if name == b"WATCH":
        check_keys(len(command) - 1)
        return [KeyUse(key, False) for key in command[1:]]
    try:
        described(name)
    except KeyError:
        return () if replica.users is None else replica.users.key_uses(command)
    return ()


def inside_of(command: Command) -> Command:
    """The command inside EPAXOS ONCE or TRACE; none for other commands."""
    if command[0].upper() != b"EPAXOS" or len(command) < 2:
        return ()
    return command[_BEFORE_INSIDE.get(command[1].upper(), len(command)) :]


def with_rights(access: Access | None, command: Command) -> Command:
    """A script takes along what its user may do."""
    if access is None or command[0].upper() not in _SCRIPTS:
        return command
    return [AS, access.text, *command]


def denied_of(access: Access, command: Command) -> Denied | CommandError | None:
    """Why the command may not run; None when it may.  Of EPAXOS ONCE and TRACE the command inside counts,
    too."""
    try:
        denied = access.denied(command)
        inside = inside_of(command)
        if denied is None and inside:
            if inside[0].upper() in _SCRIPTS:
                return _SCRIPT_INSIDE
            denied = access.denied(inside)
        return denied
    except CommandError as error:
        return error.with_traceback(None)
