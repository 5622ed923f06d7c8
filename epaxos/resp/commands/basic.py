"""PING, ECHO, QUIT, RESET."""

from __future__ import annotations

from epaxos.interfaces import Command, Reply, SimpleString
from epaxos.interfaces.redis import OK, wrong_arity
from epaxos.resp.commands import transactions
from epaxos.resp.commands.spec import Answer, Served
from epaxos.resp.interfaces import IClient
from epaxos.resp.session import Silence

__all__ = ["COMMANDS"]


def _ping(client: IClient, command: Command) -> Reply:
    if len(command) > 2:
        return wrong_arity("ping")
    return command[1] if len(command) == 2 else SimpleString("PONG")


def _echo(client: IClient, command: Command) -> Reply:
    return command[1]


def _quit(client: IClient, command: Command) -> Reply:
    client.leave()
    return OK


def _reset(client: IClient, command: Command) -> Answer:
    """The name of the library stays, because the same library still uses the connection."""
    session = client.session
    client.server.admittance.log_out(session)
    session.resp = 2
    client.server.listeners.discard(client)
    client.server.monitors.discard(client)
    client.server.tracking.stop(client)
    session.is_monitor = False
    session.client_name = b""
    session.is_refusing = False
    session.transaction = None
    session.database = 0
    if session.silence is Silence.ALL:
        session.silence = Silence.NONE
    return transactions.forget(client, SimpleString("RESET"))


COMMANDS = {
    b"PING": Served(-1, _ping),
    b"ECHO": Served(2, _echo),
    b"QUIT": Served(-1, _quit),
    b"RESET": Served(1, _reset),
}
