"""The table of session commands: who answers which command.

A new command needs a handler in a file of this package, and an entry in `COMMANDS` of that file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from twisted.internet.defer import Deferred

from epaxos.interfaces import Command, CommandError, Reply, SimpleString
from epaxos.interfaces.once import not_inside
from epaxos.interfaces.redis import fits, text_of, wrong_arity
from epaxos.resp.commands import attack, basic, client, command, config, epaxos, hello, info, transactions
from epaxos.resp.commands.spec import Handler, Served, Subcommand
from epaxos.resp.interfaces import IClient
from epaxos.resp.session import Session

__all__ = ["HANDLERS", "SERVED", "full_name", "handler_of"]

SERVED: Mapping[bytes, Served] = {
    **basic.COMMANDS,
    **hello.COMMANDS,
    **info.COMMANDS,
    **client.COMMANDS,
    **config.COMMANDS,
    **command.COMMANDS,
    **epaxos.COMMANDS,
}
"""The session commands that `COMMAND` shows, by their names in upper case."""

_REFUSED: Mapping[bytes, Served] = {**transactions.COMMANDS, **attack.COMMANDS}
HANDLERS = frozenset([*SERVED, *_REFUSED])
"""The names that never reach the state machine, in upper case."""
_OPEN = frozenset([b"AUTH", b"HELLO", b"QUIT", b"RESET", *attack.COMMANDS])
"""The commands of a client that has not given the password yet."""
WAITING_MAX = 32
"""EPAXOS commands of all clients together that wait for their answers, because each may hold a snapshot."""
_NO_PASSWORD = CommandError("NOAUTH Authentication required.")
_NO_PERMISSION = CommandError(
    "NOPERM this command of EPAXOS is for clients on the replica's own host (loopback, Unix socket), and for"
    " those that have given the password"
)
_ALLOWED_WHILE_REFUSING = transactions.ALLOWED.union(attack.COMMANDS)


def handler_of(session: Session, command: Command) -> Handler | None:
    """The handler that answers the command of this session; None when the state machine answers it."""
    name = command[0].upper()
    if not session.is_authenticated and name not in _OPEN:
        return _refuse_stranger
    if session.is_refusing and name not in _ALLOWED_WHILE_REFUSING:
        return transactions.refuse
    served = SERVED.get(name) or _REFUSED.get(name)
    if served is None:
        return None
    subcommand = served.subcommands.get(command[1].upper()) if len(command) > 1 else None
    if subcommand is not None and subcommand.handler is None:
        return _run_by_replica(subcommand, command)
    handler = _handler_in(served, command)
    return partial(_administer, handler) if served.is_admin else handler


def _run_by_replica(subcommand: Subcommand, command: Command) -> Handler | None:
    """None when the state machine answers the command; else what refuses it."""
    if not fits(subcommand.arity, len(command)):
        return _refuse_arity
    is_once = command[1].upper() == epaxos.ONCE
    return _refuse_inside if is_once and command[epaxos.ONCE_COMMAND].upper() in HANDLERS else None


def _refuse_inside(client: IClient, command: Command) -> Reply:
    return not_inside(command[epaxos.ONCE_COMMAND])


def _handler_in(served: Served, command: Command) -> Handler:
    if not served.subcommands or len(command) == 1:
        if served.handler is None or not fits(served.arity, len(command)):
            return _refuse_arity
        return served.handler
    if command[1].upper() == b"HELP":
        return _help if len(command) == 2 else _refuse_arity
    subcommand = served.subcommands.get(command[1].upper())
    if subcommand is None or subcommand.handler is None:
        return _refuse_subcommand
    return subcommand.handler if fits(subcommand.arity, len(command)) else _refuse_arity


def full_name(command: Command) -> bytes:
    """The name of a session command with its subcommand, `client|list`; empty for any other command."""
    name = command[0].upper()
    served = SERVED.get(name)
    if served is None or not served.subcommands or len(command) == 1:
        return name.lower() if name in HANDLERS else b""
    subcommand = command[1].upper()
    exists = subcommand in served.subcommands or subcommand == b"HELP"
    return b"|".join([name, subcommand]).lower() if exists else b""


def _administer(handler: Handler, client: IClient, command: Command) -> Reply | Deferred[Reply]:
    if not client.session.is_trusted:
        return _NO_PERMISSION
    if len(client.server.waiting) >= WAITING_MAX:
        return CommandError(f"ERR {WAITING_MAX} EPAXOS commands wait for their answers already, try again")
    return handler(client, command)


def _refuse_stranger(client: IClient, command: Command) -> Reply:
    return transactions.aborted(f"of: {_NO_PASSWORD}") if command[0].upper() == b"EXEC" else _NO_PASSWORD


def _refuse_arity(client: IClient, command: Command) -> Reply:
    return wrong_arity(full_name(command).decode())


def _refuse_subcommand(client: IClient, command: Command) -> Reply:
    name = command[0].decode("ascii").upper()
    return CommandError(f"ERR unknown subcommand '{text_of(command[1])}'. Try {name} HELP.")


def _help(client: IClient, command: Command) -> Reply:
    name = command[0].decode("ascii").upper()
    lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for subcommand, (_, _, summary) in SERVED[name.encode()].subcommands.items():
        lines += [subcommand.decode(), f"    {summary}"]
    return list(map(SimpleString, [*lines, "HELP", "    this list"]))
