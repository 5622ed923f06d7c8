"""PING, ECHO, QUIT, RESET, SELECT."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply, SimpleString
from epaxos.interfaces.redis import NOT_AN_INTEGER, OK, integer_of, wrong_arity
from epaxos.resp.commands.spec import Served
from epaxos.resp.interfaces import IClient
from epaxos.resp.session import Silence

__all__ = ["COMMANDS"]

INT_MIN, INT_MAX = -(2**31), 2**31 - 1


def _ping(client: IClient, command: Command) -> Reply:
    if len(command) > 2:
        return wrong_arity("ping")
    return command[1] if len(command) == 2 else SimpleString("PONG")


def _echo(client: IClient, command: Command) -> Reply:
    return command[1]


def _quit(client: IClient, command: Command) -> Reply:
    client.leave()
    return OK


def _reset(client: IClient, command: Command) -> Reply:
    """The name of the library stays, because the same library still uses the connection."""
    session = client.session
    session.log_out()
    session.resp = 2
    session.client_name = b""
    session.is_refusing = False
    if session.silence is Silence.ALL:
        session.silence = Silence.NONE
    return SimpleString("RESET")


def _select(client: IClient, command: Command) -> Reply:
    number = integer_of(command[1])
    if number is None:
        return CommandError(NOT_AN_INTEGER)
    if not INT_MIN <= number <= INT_MAX:
        return CommandError(f"ERR value is out of range, value must between {INT_MIN} and {INT_MAX}")
    return CommandError("ERR DB index is out of range") if number else OK


COMMANDS = {
    b"PING": Served(-1, _ping),
    b"ECHO": Served(2, _echo),
    b"QUIT": Served(-1, _quit),
    b"SELECT": Served(2, _select),
    b"RESET": Served(1, _reset),
}
