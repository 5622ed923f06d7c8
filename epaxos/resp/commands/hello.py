"""HELLO and AUTH.  There is one user, `default`; where no password is set, any password is right."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, integer_of
from epaxos.resp.commands.spec import (
    NAME_ERROR,
    REDIS_VERSION,
    SYNTAX,
    Served,
    is_plain,
    map_of,
    whole_text_of,
)
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]

_NO_PASSWORD = CommandError(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user>"
    " <pass> option can be used to authenticate the client and select the RESP protocol version at the same"
    " time"
)


def _auth(client: IClient, command: Command) -> Reply:
    if len(command) > 3:
        return SYNTAX
    if len(command) == 3:
        return _authenticate(client, command[1], command[2]) or OK
    if not client.server.door.has_password:
        return CommandError(
            "ERR AUTH <password> called without any password configured for the default user."
            " Are you sure your configuration is correct?"
        )
    return _authenticate(client, b"default", command[1]) or OK


def _authenticate(client: IClient, user: bytes, password: bytes) -> CommandError | None:
    """Let the user in, or say why not.  A client that was let in before stays so, as with Redis."""
    server, session = client.server, client.session
    if user == b"default" and (not session.needs_password or server.door.opens_to(password)):
        session.is_authenticated = True
        return None
    if session.needs_password:
        server.complain(session.address, "it has given a wrong password, or another user than default")
    return CommandError("WRONGPASS invalid username-password pair or user is disabled.")


def _hello(client: IClient, command: Command) -> Reply:
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
            if (error := _authenticate(client, rest.pop(), rest.pop())) is not None:
                return error
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
        b"version": REDIS_VERSION.encode(),
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
