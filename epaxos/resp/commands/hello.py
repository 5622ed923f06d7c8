"""HELLO and AUTH.  For a user that needs no password, any password is right."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, integer_of
from epaxos.interfaces.users import DEFAULT
from epaxos.resp.commands.spec import (
    NAME_ERROR,
    SYNTAX,
    Answer,
    Served,
    is_plain,
    map_of,
    whole_text_of,
)
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]

VERSION = "7.4.0"
"""The version of Redis that HELLO tells, beside that of INFO (REDIS_VERSION), by which clients choose their
commands: redis-py and Jedis keep copies of values (CLIENT TRACKING) only where it is this one, or higher."""
_NO_PASSWORD = CommandError(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user>"
    " <pass> option can be used to authenticate the client and select the RESP protocol version at the same"
    " time"
)


def _auth(client: IClient, command: Command) -> Answer:
    if len(command) > 3:
        return SYNTAX
    if len(command) == 3:
        return client.server.admittance.log_in(client, command[1], command[2]) or OK
    if client.server.admittance.is_open:
        return CommandError(
            "ERR AUTH <password> called without any password configured for the default user."
            " Are you sure your configuration is correct?"
        )
    return client.server.admittance.log_in(client, DEFAULT, command[1]) or OK


def _hello(client: IClient, command: Command) -> Answer:
    session = client.session
    resp = session.resp
    if len(command) > 1:
        number = integer_of(command[1])
        if number is None:
            return CommandError("ERR Protocol version is not an integer or out of range")
        if number not in (2, 3):
            return CommandError("NOPROTO unsupported protocol version")
        resp = number
    rest = list(command[:1:-1])  # the next option is the last element
    while rest:
        option = rest.pop()
        if option.upper() == b"AUTH" and len(rest) >= 2:
            failure = client.server.admittance.log_in(client, rest.pop(), rest.pop())
            if failure is not None:
                return failure
        elif option.upper() == b"SETNAME" and rest:
            if not is_plain(rest[-1]):
                return NAME_ERROR
            session.client_name = rest.pop()
        else:
            return CommandError(f"ERR Syntax error in HELLO option '{whole_text_of(option)}'")
    if not session.is_authenticated:
        return _NO_PASSWORD
    session.resp = resp
    fields: dict[bytes, Reply] = {
        b"server": b"redis",
        b"version": VERSION.encode(),
        b"proto": resp,
        b"id": session.client_id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }
    return map_of(fields)


COMMANDS = {
    b"AUTH": Served(-2, _auth),
    b"HELLO": Served(-1, _hello),
}
