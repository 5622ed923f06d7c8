"""The table of session commands: who answers which command.

A new command needs a handler in a file of this package, and an entry in `COMMANDS` of that file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from epaxos.interfaces import Command, CommandError, Reply, SimpleString
from epaxos.interfaces.once import not_inside
from epaxos.interfaces.redis import fits, text_of, wrong_arity
from epaxos.resp.commands import (
    acl,
    attack,
    basic,
    blocking,
    client,
    cluster,
    command,
    config,
    epaxos,
    hello,
    info,
    latency,
    monitor,
    pubsub,
    refusing,
    selecting,
    sentinel,
    slowlog,
    subscribe,
    tracking,
    transactions,
    wait,
)
from epaxos.resp.commands.spec import Answer, Handler, Served, Subcommand
from epaxos.resp.interfaces import IClient
from epaxos.resp.session import Session

__all__ = ["HANDLERS", "LOOKED_AT", "SERVED", "full_name", "handler_of", "is_refusal"]

SERVED: Mapping[bytes, Served] = {
    **acl.COMMANDS,
    **basic.COMMANDS,
    **hello.COMMANDS,
    **info.COMMANDS,
    **client.COMMANDS,
    **config.COMMANDS,
    **command.COMMANDS,
    **selecting.COMMANDS,
    **transactions.COMMANDS,
    **epaxos.COMMANDS,
    **cluster.COMMANDS,
    **sentinel.COMMANDS,
    **subscribe.COMMANDS,
    **pubsub.COMMANDS,
    **monitor.COMMANDS,
    **wait.COMMANDS,
    **slowlog.COMMANDS,
    **latency.COMMANDS,
}
"""The session commands that `COMMAND` shows, by their names in upper case."""

HANDLERS = frozenset([*SERVED, *attack.COMMANDS])
"""The names that never reach the state machine, in upper case."""
LOOKED_AT = HANDLERS | blocking.NAMES
"""The names of commands that do not go to the replica as they come, in upper case."""
_OPEN = frozenset([b"AUTH", b"HELLO", b"QUIT", b"RESET", *attack.COMMANDS])
"""The commands of a client that has not given the password yet."""
WAITING_MAX = 32
"""EPAXOS commands of all clients together that wait for their answers, because each may hold a snapshot."""
_ONCE_EXEC = [epaxos.ONCE, b"EXEC"]
_NO_PASSWORD = CommandError("NOAUTH Authentication required.")
_NO_PERMISSION = CommandError(
    "NOPERM this command of EPAXOS is for clients on the replica's own host (loopback, Unix socket), and for"
    " those that have given the password"
)
_ALWAYS = frozenset(attack.COMMANDS)
_ALLOWED_WHILE_REFUSING = frozenset([b"EXEC", b"DISCARD", b"QUIT", b"RESET", *attack.COMMANDS])
_NOT_QUEUED = transactions.ALLOWED.union(attack.COMMANDS)
_NOT_IN_MULTI = tracking.NOT_IN_MULTI | {b"REPLY"}
"""Subcommands of CLIENT that are not allowed behind MULTI."""
_NOT_ALLOWED = CommandError("ERR Command not allowed inside a transaction")


def handler_of(session: Session, command: Command) -> Handler | None:
    """The handler that answers the command of this session; None when the state machine answers it."""
    name = command[0].upper()
    if not session.is_authenticated and name not in _OPEN:
        return _refuse_stranger
    if session.access is not None and (refusal := refusing.refusal_of(session, command)) is not None:
        return refusal
    if session.is_refusing and name not in _ALLOWED_WHILE_REFUSING:
        return transactions.refuse
    if session.only_listens:
        if name not in subscribe.ALLOWED and name not in _ALWAYS:
            return _refuse_while_listening
        if name == b"PING":
            return subscribe.ping
    elif session.is_monitor and name not in HANDLERS:
        return _refuse_monitor
    served = SERVED.get(name) or attack.COMMANDS.get(name)
    if session.transaction is not None:
        refusal = _queueing(name, served, command)
        if refusal is not None:
            return refusal
    if served is None:
        return blocking.handler_of(command)
    subcommand = served.subcommands.get(command[1].upper()) if len(command) > 1 else None
    if subcommand is not None and subcommand.handler is None:
        return _run_by_replica(subcommand, command)
    handler = _handler_in(served, command)
    return partial(_administer, handler) if served.is_admin else handler


def is_refusal(how: Handler | CommandError) -> bool:
    """Whether this only refuses a command, because of the state of its session."""
    return (
        isinstance(how, CommandError)
        or how in _REFUSALS
        or (isinstance(how, partial) and how.func is refusing.refuse)
    )


def _queueing(name: bytes, served: Served | None, command: Command) -> Handler | None:
    """What queues a command behind MULTI; None when it is answered at once."""
    if name == b"EPAXOS" and len(command) == 6 and [word.upper() for word in command[1::4]] == _ONCE_EXEC:
        return transactions.exec_once
    if name == b"EPAXOS" or (
        name == b"CLIENT" and not _NOT_IN_MULTI.isdisjoint(map(bytes.upper, command[1:2]))
    ):
        return partial(transactions.queue, _refuse_inside_multi, True)
    if served is None:
        return partial(transactions.queue, None, False)
    handler = _handler_in(served, command)
    is_wrong = handler in (_refuse_arity, _refuse_subcommand)
    if name in _NOT_QUEUED and not is_wrong:
        return None
    return partial(transactions.queue, handler, is_wrong)


def _refuse_inside_multi(client: IClient, command: Command) -> Reply:
    return _NOT_ALLOWED


def _run_by_replica(subcommand: Subcommand, command: Command) -> Handler | None:
    """None when the state machine answers the command; else what refuses it."""
    if not fits(subcommand.arity, len(command)):
        return _refuse_arity
    if command[1].upper() != epaxos.ONCE:
        return None
    inside = command[epaxos.ONCE_COMMAND :]
    return _refuse_inside if inside[0].upper() in HANDLERS or blocking.is_blocking(inside) else None


def _refuse_inside(client: IClient, command: Command) -> Reply:
    return not_inside(command[epaxos.ONCE_COMMAND])


def _handler_in(served: Served, command: Command) -> Handler:
    if not served.subcommands or len(command) == 1:
        is_fit = served.answers_any_length or fits(served.arity, len(command))
        return served.handler if served.handler is not None and is_fit else _refuse_arity
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


def _administer(handler: Handler, client: IClient, command: Command) -> Answer:
    if not client.session.is_trusted:
        return _NO_PERMISSION
    if len(client.server.waiting) >= WAITING_MAX:
        return CommandError(f"ERR {WAITING_MAX} EPAXOS commands wait for their answers already, try again")
    return handler(client, command)


def _refuse_stranger(client: IClient, command: Command) -> Reply:
    return transactions.aborted(f"of: {_NO_PASSWORD}") if command[0].upper() == b"EXEC" else _NO_PASSWORD


def _refuse_while_listening(client: IClient, command: Command) -> Reply:
    """As Redis, say first what is wrong with the command whatever the state of the connection is."""
    served = SERVED.get(command[0].upper()) or attack.COMMANDS.get(command[0].upper())
    if served is not None:
        is_fit = served.subcommands or fits(served.arity, len(command))
        return (
            subscribe.refuse(client, command, full_name(command))
            if is_fit
            else _refuse_arity(client, command)
        )
    try:
        client.server.replica.check(command)
    except CommandError as error:
        return error.with_traceback(None)
    return subscribe.refuse(client, command, command[0])


def _refuse_monitor(client: IClient, command: Command) -> Reply:
    try:
        client.server.replica.check(command)
    except CommandError as error:
        return error.with_traceback(None)
    return monitor.refuse(client, command)


_REFUSALS: Collection[Handler] = frozenset(
    [_refuse_stranger, _refuse_while_listening, _refuse_monitor, transactions.refuse]
)


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
