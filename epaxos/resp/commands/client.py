"""CLIENT: the name of a connection, the list of all, and which commands are answered."""

from __future__ import annotations

from collections.abc import Iterable

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, integer_of
from epaxos.resp.commands.blocking import SUBCOMMANDS as _BLOCKING
from epaxos.resp.commands.client_control import KINDS, SUBCOMMANDS, kind_of
from epaxos.resp.commands.spec import NAME_ERROR, SYNTAX, Served, Subcommand, is_plain, whole_text_of
from epaxos.resp.commands.tracking import SUBCOMMANDS as _TRACKING
from epaxos.resp.encoder import Verbatim
from epaxos.resp.interfaces import IClient
from epaxos.resp.session import Silence

__all__ = ["COMMANDS"]

IDS_MAX = 10_000
"""The most ids in one `CLIENT LIST ID`, because the reply has a line for each, even for a repeated one."""


def _id(client: IClient, command: Command) -> Reply:
    return client.session.client_id


def _getname(client: IClient, command: Command) -> Reply:
    return client.session.client_name or None


def _setname(client: IClient, command: Command) -> Reply:
    if not is_plain(command[2]):
        return NAME_ERROR
    client.session.client_name = command[2]
    return OK


def _setinfo(client: IClient, command: Command) -> Reply:
    option, value = command[2], command[3]
    if option.upper() not in (b"LIB-NAME", b"LIB-VER"):
        return CommandError(f"ERR Unrecognized option '{whole_text_of(option)}'")
    if not is_plain(value):
        shown = whole_text_of(option)
        return CommandError(f"ERR {shown} cannot contain spaces, newlines or special characters.")
    if option.upper() == b"LIB-NAME":
        client.session.library_name = value
    else:
        client.session.library_version = value
    return OK


def _info(client: IClient, command: Command) -> Reply:
    return Verbatim(_lines([client]))


def _list(client: IClient, command: Command) -> Reply:
    clients, option = client.server.clients(), command[2].upper() if len(command) > 2 else None
    if option is None:
        return Verbatim(_lines(clients.values()))
    if option == b"TYPE" and len(command) == 4:
        kind = command[3].lower()
        if kind not in KINDS:
            return CommandError(f"ERR Unknown client type '{whole_text_of(command[3])}'")
        return Verbatim(_lines(each for each in clients.values() if kind_of(each) == kind))
    if option == b"ID" and len(command) > 3:
        if len(command) > 3 + IDS_MAX:
            return CommandError("ERR too many client IDs")
        numbers = list(map(integer_of, command[3:]))
        if None in numbers:
            return CommandError("ERR Invalid client ID")
        named = [clients.get(number) for number in numbers if number is not None]
        return Verbatim(_lines(each for each in named if each is not None))
    return SYNTAX


def _lines(clients: Iterable[IClient]) -> bytes:
    return "".join([client.describe() for client in clients]).encode()


def _no_evict(client: IClient, command: Command) -> Reply:
    """Does nothing: the bound on the memory of clients holds for all, and every read is a use of its key."""
    return OK if command[2].upper() in (b"ON", b"OFF") else SYNTAX


def _reply(client: IClient, command: Command) -> Reply:
    session, how = client.session, command[2].upper()
    if how == b"ON":
        session.silence = Silence.NONE
        return OK
    if how == b"OFF":
        session.silence = Silence.ALL
        return None
    if how == b"SKIP":
        if session.silence is not Silence.ALL:
            session.silence = Silence.SOON
        return None
    return SYNTAX


COMMANDS = {
    b"CLIENT": Served(
        -2,
        subcommands={
            b"GETNAME": Subcommand(_getname, 2, "the name of this connection"),
            b"ID": Subcommand(_id, 2, "the number of this connection"),
            b"INFO": Subcommand(_info, 2, "what CLIENT LIST says of this connection"),
            b"LIST": Subcommand(_list, -2, "[TYPE type | ID number ...]: the connections"),
            b"NO-EVICT": Subcommand(
                _no_evict,
                3,
                "ON|OFF: does nothing: where memory is short, the client that holds the most is cut off",
            ),
            b"NO-TOUCH": Subcommand(_no_evict, 3, "ON|OFF: does nothing: every read is a use of the key"),
            b"REPLY": Subcommand(_reply, 3, "ON|OFF|SKIP: which commands are answered"),
            b"SETINFO": Subcommand(_setinfo, 4, "LIB-NAME|LIB-VER value: the client's library"),
            b"SETNAME": Subcommand(_setname, 3, "name: name this connection"),
            **_BLOCKING,
            **_TRACKING,
            **SUBCOMMANDS,
        },
    )
}
