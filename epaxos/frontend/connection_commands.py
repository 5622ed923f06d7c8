"""What a connection answers by itself: the commands with which Redis clients find their way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from epaxos.frontend.encoder import RespMap
from epaxos.interfaces import Command, CommandError, Reply, SimpleString

__all__ = ["CONNECTION_COMMANDS", "Session", "wrong_arity"]

OK = SimpleString("OK")
REDIS_VERSION = "7.2.0"
"""The Redis whose words and manners are spoken; clients choose their own by it."""
PATTERN_BYTES_MAX = 64
"""Longer than any name that `CONFIG GET` knows; patterns are compiled, and kept."""


class Session(Protocol):
    """What the commands see of their connection."""

    client_id: int
    client_name: bytes
    address: str
    resp: int

    @property
    def settings(self) -> Mapping[str, str]:
        """What `CONFIG GET` shows."""

    @property
    def info(self) -> Mapping[str, Mapping[str, object]]:
        """What `INFO` shows: sections of fields."""

    @property
    def command_table(self) -> Sequence[list[Reply]]:
        """What `COMMAND` shows: an entry a command."""

    def clients(self) -> Sequence[Session]:
        """All connections."""

    def leave(self) -> None:
        """Close the connection once what was answered has been sent."""


Handler = Callable[[Session, Command], Reply]


def wrong_arity(command: Command) -> CommandError:
    """Redis' words for it."""
    name = command[0].decode("utf-8", "backslashreplace").lower()
    return CommandError(f"ERR wrong number of arguments for '{name}' command")


def _unknown_subcommand(command: Command) -> CommandError:
    name = command[0].decode("utf-8", "backslashreplace").upper()
    subcommand = command[1][:128].decode("utf-8", "backslashreplace")
    return CommandError(f"ERR unknown subcommand '{subcommand}'. Try {name} HELP.")


def _ping(session: Session, command: Command) -> Reply:
    if len(command) > 2:
        return wrong_arity(command)
    return command[1] if len(command) == 2 else SimpleString("PONG")


def _echo(session: Session, command: Command) -> Reply:
    return command[1] if len(command) == 2 else wrong_arity(command)


def _quit(session: Session, command: Command) -> Reply:
    session.leave()
    return OK


def _auth(session: Session, command: Command) -> Reply:
    if not 2 <= len(command) <= 3:
        return wrong_arity(command)
    return CommandError(
        "ERR AUTH <password> called without any password configured for the default user."
        " Are you sure your configuration is correct?"
    )


def _hello(session: Session, command: Command) -> Reply:
    resp, name = session.resp, None
    if len(command) > 1:
        if command[1] not in (b"2", b"3"):
            if not command[1].isdigit():
                return CommandError("ERR Protocol version is not an integer or out of range")
            return CommandError("NOPROTO unsupported protocol version")
        resp = int(command[1])
    rest = list(command[2:])
    while rest:
        option = rest.pop(0).upper()
        if option == b"AUTH" and len(rest) >= 2:
            return _auth(session, [command[0], *rest[:2]])
        if option == b"SETNAME" and rest:
            name = rest.pop(0)
            if (error := _name_error(name)) is not None:
                return error
        else:
            shown = option.decode("utf-8", "backslashreplace")
            return CommandError(f"ERR Syntax error in HELLO option '{shown.lower()}'")
    session.resp = resp
    if name is not None:
        session.client_name = name
    fields: dict[bytes, Reply] = {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": resp,
        b"id": session.client_id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }
    return _map(fields)


def _map(fields: Mapping[bytes, Reply]) -> RespMap:
    return RespMap(element for field in fields.items() for element in field)


def _name_error(name: bytes) -> CommandError | None:
    if all(33 <= byte <= 126 for byte in name):
        return None
    return CommandError("ERR Client names cannot contain spaces, newlines or special characters.")


def _client(session: Session, command: Command) -> Reply:
    if len(command) < 2:
        return wrong_arity(command)
    subcommand, arguments = command[1].upper(), command[2:]
    if subcommand == b"ID" and not arguments:
        return session.client_id
    if subcommand == b"GETNAME" and not arguments:
        return session.client_name or None
    if subcommand == b"SETNAME" and len(arguments) == 1:
        error = _name_error(arguments[0])
        if error is None:
            session.client_name = arguments[0]
        return error or OK
    if subcommand == b"SETINFO" and len(arguments) == 2:
        if arguments[0].upper() in (b"LIB-NAME", b"LIB-VER"):
            return OK
        return CommandError(f"ERR Unrecognized option '{arguments[0].decode('utf-8', 'backslashreplace')}'")
    if subcommand == b"INFO" and not arguments:
        return _client_line(session).encode()
    if subcommand == b"LIST":
        return "".join(map(_client_line, session.clients())).encode()
    if subcommand in (b"NO-EVICT", b"NO-TOUCH") and len(arguments) == 1:
        return OK if arguments[0].upper() in (b"ON", b"OFF") else CommandError("ERR syntax error")
    if subcommand == b"REPLY" and [argument.upper() for argument in arguments] == [b"ON"]:
        return OK
    return _unknown_subcommand(command)


def _client_line(session: Session) -> str:
    name = session.client_name.decode("ascii", "replace")
    return f"id={session.client_id} addr={session.address} name={name} db=0 resp={session.resp}\n"


def _select(session: Session, command: Command) -> Reply:
    if len(command) != 2:
        return wrong_arity(command)
    if not command[1].lstrip(b"-").isdigit():
        return CommandError("ERR value is not an integer or out of range")
    return OK if command[1] == b"0" else CommandError("ERR DB index is out of range")


def _reset(session: Session, command: Command) -> Reply:
    session.resp = 2
    session.client_name = b""
    return SimpleString("RESET")


def _config(session: Session, command: Command) -> Reply:
    if len(command) < 2:
        return wrong_arity(command)
    subcommand = command[1].upper()
    if subcommand == b"GET" and len(command) > 2:
        if any(len(pattern) > PATTERN_BYTES_MAX for pattern in command[2:]):
            return CommandError("ERR the pattern is too long")
        patterns = [argument.decode("utf-8", "replace").lower() for argument in command[2:]]
        return _map(
            {
                name.encode(): value.encode()
                for name, value in session.settings.items()
                if any(fnmatchcase(name, pattern) for pattern in patterns)
            }
        )
    if subcommand == b"RESETSTAT":
        return OK
    if subcommand == b"SET":
        return CommandError("ERR CONFIG SET is not served: settings are in the configuration file")
    return _unknown_subcommand(command)


def _info(session: Session, command: Command) -> Reply:
    wanted = {argument.decode("utf-8", "replace").lower() for argument in command[1:]}
    everything = not wanted or bool(wanted & {"all", "default", "everything"})
    sections = [
        "\r\n".join([f"# {title}", *(f"{name}:{value}" for name, value in fields.items()), ""])
        for title, fields in session.info.items()
        if everything or title.lower() in wanted
    ]
    return "\r\n".join(sections).encode()


def _command(session: Session, command: Command) -> Reply:
    table = session.command_table
    if len(command) == 1:
        return list(table)
    subcommand = command[1].upper()
    if subcommand == b"COUNT":
        return len(table)
    if subcommand == b"LIST":
        return [entry[0] for entry in table]
    if subcommand == b"DOCS":
        return RespMap()
    if subcommand == b"INFO":
        by_name = {entry[0]: entry for entry in table}
        return [by_name.get(name.lower()) for name in command[2:]] if command[2:] else list(table)
    return _unknown_subcommand(command)


CONNECTION_COMMANDS: Mapping[bytes, Handler] = {
    b"PING": _ping,
    b"ECHO": _echo,
    b"QUIT": _quit,
    b"AUTH": _auth,
    b"HELLO": _hello,
    b"CLIENT": _client,
    b"SELECT": _select,
    b"RESET": _reset,
    b"CONFIG": _config,
    b"INFO": _info,
    b"COMMAND": _command,
}
