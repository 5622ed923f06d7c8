"""What a connection answers by itself: the commands with which Redis clients find their way.

Words and manners are those of Redis 7.0.15, to which `tests/resp/test_differential.py` holds them; what
is meant to differ is listed there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol

from epaxos.interfaces import Command, CommandError, Reply, SimpleString
from epaxos.resp.encoder import RespMap, Verbatim
from epaxos.resp.glob import Glob

__all__ = ["HANDLERS", "SERVED", "Session", "Silence", "full_name", "handler_of"]

OK = SimpleString("OK")
REDIS_VERSION = "7.2.0"
"""The Redis that clients are told they talk to; they choose their own commands by it."""
PATTERNS_BYTES_MAX = 1024
"""Names and patterns of one `CONFIG GET`, together, because each pattern is tried on each setting."""
IDS_MAX = 10_000
"""Numbers that one `CLIENT LIST ID` may name; it shows a line for each, also where one is named again."""
SHOWN_BYTES_MAX = 128
"""An error message shows this much of what the client sent, as with Redis."""
SYNTAX = CommandError("ERR syntax error")
NOT_AN_INTEGER = CommandError("ERR value is not an integer or out of range")
ATTACK = (
    "Possible SECURITY ATTACK detected: it sent POST or Host: as a command, as a web page does that makes a"
    " browser send commands (Cross Protocol Scripting). Connection aborted."
)
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1


class Silence(Enum):
    """Which commands get no reply (`CLIENT REPLY`)."""

    NONE = "every command is answered"
    SOON = "the one after this is not answered"
    NOW = "this one is not answered"
    ALL = "none is answered"


class Session(Protocol):
    """What the commands see of their connection."""

    client_id: int
    client_name: bytes
    library_name: bytes
    library_version: bytes
    address: str
    resp: int
    silence: Silence
    is_refusing: bool
    """Whether MULTI was refused, so that nothing runs up to EXEC or DISCARD."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What `CONFIG GET` shows."""

    @property
    def info(self) -> Mapping[str, Mapping[str, object]]:
        """What `INFO` shows: sections of fields."""

    @property
    def command_table(self) -> Sequence[list[Reply]]:
        """What `COMMAND` shows: an entry a command."""

    def clients(self) -> Mapping[int, Session]:
        """All connections by their numbers."""

    def describe(self) -> str:
        """Its line of `CLIENT LIST`."""

    def leave(self) -> None:
        """Close the connection once what was answered has been sent."""

    def reset_statistics(self) -> None:
        """Count anew what `INFO` shows as statistics."""

    def refuse_attack(self, text: str) -> None:
        """Close the connection at once, and log `text`."""


Handler = Callable[[Session, Command], Reply]


class Subcommand(NamedTuple):
    """`arity` as Redis counts it: both names included; -n stands for n or more."""

    handler: Handler
    arity: int
    summary: str


class Served(NamedTuple):
    """A command that is answered here, by its handler or by a subcommand's.  `arity`: see CommandInfo."""

    arity: int
    handler: Handler | None = None
    subcommands: Mapping[bytes, Subcommand] = {}


def text_of(data: bytes) -> str:
    """What an error message shows of `data`: as Redis does, at most 128 bytes, and up to a NUL byte.

    What is no UTF-8 survives as surrogates, so that the client gets the bytes that it sent.
    """
    return data[:SHOWN_BYTES_MAX].partition(b"\0")[0].decode("utf-8", "surrogateescape")


def integer(data: bytes) -> int | None:
    """The 64-bit number that Redis reads there; None when it reads none."""
    digits = data[1:] if data[:1] == b"-" else data
    if not digits.isdigit() or len(digits) > 19 or (digits[:1] == b"0" and data != b"0"):
        return None
    number = int(data)
    return number if LONG_MIN <= number <= LONG_MAX else None


def _fits(arity: int, length: int) -> bool:
    return length == arity if arity > 0 else length >= -arity


# -- the connection


def _ping(session: Session, command: Command) -> Reply:
    if len(command) > 2:
        return _refuse_arity(session, command)
    return command[1] if len(command) == 2 else SimpleString("PONG")


def _echo(session: Session, command: Command) -> Reply:
    return command[1]


def _quit(session: Session, command: Command) -> Reply:
    session.leave()
    return OK


def _reset(session: Session, command: Command) -> Reply:
    """The library stays known: it is still the one behind the connection."""
    session.resp = 2
    session.client_name = b""
    session.is_refusing = False
    if session.silence is Silence.ALL:
        session.silence = Silence.NONE
    return SimpleString("RESET")


def _select(session: Session, command: Command) -> Reply:
    number = integer(command[1])
    if number is None:
        return NOT_AN_INTEGER
    if not INT_MIN <= number <= INT_MAX:
        return CommandError(f"ERR value is out of range, value must between {INT_MIN} and {INT_MAX}")
    return CommandError("ERR DB index is out of range") if number else OK


def _auth(session: Session, command: Command) -> Reply:
    if len(command) > 3:
        return SYNTAX
    if len(command) == 2:
        return CommandError(
            "ERR AUTH <password> called without any password configured for the default user."
            " Are you sure your configuration is correct?"
        )
    return _authenticate(command[1]) or OK


def _authenticate(user: bytes) -> CommandError | None:
    """There is one user, who needs no password, so that any is right."""
    if user == b"default":
        return None
    return CommandError("WRONGPASS invalid username-password pair or user is disabled.")


def _hello(session: Session, command: Command) -> Reply:
    resp = session.resp
    if len(command) > 1:
        number = integer(command[1])
        if number is None:
            return CommandError("ERR Protocol version is not an integer or out of range")
        if number not in (2, 3):
            return CommandError("NOPROTO unsupported protocol version")
        resp = number
    rest = list(command[:1:-1])  # the next one is the last
    while rest:
        option = rest.pop()
        if option.upper() == b"AUTH" and len(rest) >= 2:
            if (error := _authenticate(rest.pop())) is not None:
                return error
            rest.pop()
        elif option.upper() == b"SETNAME" and rest:
            if not _is_plain(rest[-1]):
                return _NAME_ERROR
            session.client_name = rest.pop()
        else:
            return CommandError(f"ERR Syntax error in HELLO option '{_whole_text_of(option)}'")
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
    return _map(fields)


def _whole_text_of(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _map(fields: Mapping[bytes, Reply]) -> RespMap:
    return RespMap(element for field in fields.items() for element in field)


# -- transactions, which are not served, and what is no command


def _multi(session: Session, command: Command) -> Reply:
    """Nothing that was meant for the transaction may run outside of one."""
    session.is_refusing = True
    return CommandError("ERR unknown command 'MULTI': transactions are not served; nothing runs up to EXEC")


def _refuse(session: Session, command: Command) -> Reply:
    return CommandError("ERR not run: MULTI was refused, and nothing runs up to EXEC, DISCARD or RESET")


def _exec(session: Session, command: Command) -> Reply:
    was_refusing, session.is_refusing = session.is_refusing, False
    if len(command) != 1:
        why = "of: wrong number of arguments for 'exec' command"
    elif was_refusing:
        why = "of previous errors."
    else:
        return CommandError("ERR EXEC without MULTI")
    return CommandError(f"EXECABORT Transaction discarded because {why}")


def _discard(session: Session, command: Command) -> Reply:
    session.is_refusing = False
    return CommandError("ERR DISCARD without MULTI")


def _attack(session: Session, command: Command) -> Reply:
    session.refuse_attack(ATTACK)
    return None


# -- CLIENT


_NAME_ERROR = CommandError("ERR Client names cannot contain spaces, newlines or special characters.")


def _is_plain(name: bytes) -> bool:
    return all(33 <= byte <= 126 for byte in name)


def _client_id(session: Session, command: Command) -> Reply:
    return session.client_id


def _client_getname(session: Session, command: Command) -> Reply:
    return session.client_name or None


def _client_setname(session: Session, command: Command) -> Reply:
    if not _is_plain(command[2]):
        return _NAME_ERROR
    session.client_name = command[2]
    return OK


def _client_setinfo(session: Session, command: Command) -> Reply:
    option, value = command[2], command[3]
    if option.upper() not in (b"LIB-NAME", b"LIB-VER"):
        return CommandError(f"ERR Unrecognized option '{_whole_text_of(option)}'")
    if not _is_plain(value):
        shown = _whole_text_of(option)
        return CommandError(f"ERR {shown} cannot contain spaces, newlines or special characters.")
    if option.upper() == b"LIB-NAME":
        session.library_name = value
    else:
        session.library_version = value
    return OK


def _client_info(session: Session, command: Command) -> Reply:
    return Verbatim(_lines([session]))


def _client_list(session: Session, command: Command) -> Reply:
    clients, option = session.clients(), command[2].upper() if len(command) > 2 else None
    if option is None:
        return Verbatim(_lines(clients.values()))
    if option == b"TYPE" and len(command) == 4:
        kind = command[3].lower()
        if kind not in (b"normal", b"master", b"slave", b"replica", b"pubsub"):
            return CommandError(f"ERR Unknown client type '{_whole_text_of(command[3])}'")
        return Verbatim(_lines(clients.values() if kind == b"normal" else ()))
    if option == b"ID" and len(command) > 3:
        if len(command) > 3 + IDS_MAX:
            return CommandError("ERR too many client IDs")
        numbers = list(map(integer, command[3:]))
        if None in numbers:
            return CommandError("ERR Invalid client ID")
        named = [clients.get(number) for number in numbers if number is not None]
        return Verbatim(_lines(client for client in named if client is not None))
    return SYNTAX


def _lines(clients: Iterable[Session]) -> bytes:
    return "".join([client.describe() for client in clients]).encode()


def _client_no_evict(session: Session, command: Command) -> Reply:
    """Nobody is evicted for memory alone, and keys have no time of access: both do nothing."""
    return OK if command[2].upper() in (b"ON", b"OFF") else SYNTAX


def _client_reply(session: Session, command: Command) -> Reply:
    how = command[2].upper()
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


# -- CONFIG, INFO, COMMAND


def _config_get(session: Session, command: Command) -> Reply:
    """Settings by their names, which come back as they were asked for, and by patterns."""
    wanted = [argument.partition(b"\0")[0] for argument in command[2:]]
    if sum(map(len, wanted)) + len(wanted) > PATTERNS_BYTES_MAX:
        return CommandError(f"ERR the patterns are longer than {PATTERNS_BYTES_MAX} bytes together")
    settings = {name.encode(): value.encode() for name, value in session.settings.items()}
    found: dict[bytes, bytes] = {}  # how each is called in the reply, by its name
    for name in wanted:
        if any(mark in name for mark in (b"*", b"?", b"[")):
            pattern = Glob(name)
            for setting in filter(pattern.matches, settings):
                found.setdefault(setting, setting)
        elif name.lower() in settings:
            found.setdefault(name.lower(), name)
    return _map({shown: settings[name] for name, shown in found.items()})


def _config_set(session: Session, command: Command) -> Reply:
    return CommandError("ERR CONFIG SET is not served: settings are in the configuration file")


def _config_rewrite(session: Session, command: Command) -> Reply:
    return CommandError("ERR CONFIG REWRITE is not served: settings are in the configuration file")


def _config_resetstat(session: Session, command: Command) -> Reply:
    session.reset_statistics()
    return OK


_EVERY_SECTION = {b"all", b"default", b"everything"}


def _info(session: Session, command: Command) -> Reply:
    wanted = {argument.lower() for argument in command[1:]}
    is_every = not wanted or not wanted.isdisjoint(_EVERY_SECTION)
    sections = [
        "".join([f"# {title}\r\n", *(f"{name}:{value}\r\n" for name, value in fields.items())])
        for title, fields in session.info.items()
        if is_every or title.lower().encode() in wanted
    ]
    return Verbatim("\r\n".join(sections).encode())


def _command(session: Session, command: Command) -> Reply:
    return list(session.command_table)


def _command_count(session: Session, command: Command) -> Reply:
    return len(session.command_table)


def _command_list(session: Session, command: Command) -> Reply:
    names: list[Any] = [entry[0] for entry in session.command_table]
    if len(command) == 2:
        return names
    if len(command) != 5 or command[2].upper() != b"FILTERBY":
        return SYNTAX
    by, wanted = command[3].upper(), command[4]
    if by == b"PATTERN":
        if len(wanted) > PATTERNS_BYTES_MAX:
            return CommandError(f"ERR the pattern is longer than {PATTERNS_BYTES_MAX} bytes")
        return list(filter(Glob(wanted).matches, names))
    if by == b"MODULE":
        return []
    return CommandError("ERR ACLCAT is not served") if by == b"ACLCAT" else SYNTAX


def _command_docs(session: Session, command: Command) -> Reply:
    return RespMap()


def _command_info(session: Session, command: Command) -> Reply:
    table = session.command_table
    if len(command) == 2:
        return list(table)
    by_name = {entry[0]: entry for entry in table}
    return [by_name.get(name.lower()) for name in command[2:]]


# -- the tables


SERVED: Mapping[bytes, Served] = {
    b"PING": Served(-1, _ping),
    b"ECHO": Served(2, _echo),
    b"QUIT": Served(-1, _quit),
    b"AUTH": Served(-2, _auth),
    b"HELLO": Served(-1, _hello),
    b"SELECT": Served(2, _select),
    b"RESET": Served(1, _reset),
    b"INFO": Served(-1, _info),
    b"CLIENT": Served(
        -2,
        subcommands={
            b"GETNAME": Subcommand(_client_getname, 2, "the name of this connection"),
            b"ID": Subcommand(_client_id, 2, "the number of this connection"),
            b"INFO": Subcommand(_client_info, 2, "what CLIENT LIST says of this connection"),
            b"LIST": Subcommand(_client_list, -2, "[TYPE type | ID number ...]: the connections"),
            b"NO-EVICT": Subcommand(_client_no_evict, 3, "ON|OFF: does nothing, as nobody is evicted"),
            b"NO-TOUCH": Subcommand(_client_no_evict, 3, "ON|OFF: does nothing, as keys have no time"),
            b"REPLY": Subcommand(_client_reply, 3, "ON|OFF|SKIP: which commands are answered"),
            b"SETINFO": Subcommand(_client_setinfo, 4, "LIB-NAME|LIB-VER value: the client's library"),
            b"SETNAME": Subcommand(_client_setname, 3, "name: name this connection"),
        },
    ),
    b"CONFIG": Served(
        -2,
        subcommands={
            b"GET": Subcommand(_config_get, -3, "pattern ...: settings by name or pattern"),
            b"RESETSTAT": Subcommand(_config_resetstat, 2, "set the statistics of INFO to zero"),
            b"REWRITE": Subcommand(_config_rewrite, 2, "not served"),
            b"SET": Subcommand(_config_set, -4, "not served: settings are in the configuration file"),
        },
    ),
    b"COMMAND": Served(
        -1,
        _command,
        subcommands={
            b"COUNT": Subcommand(_command_count, 2, "how many commands are served"),
            b"DOCS": Subcommand(_command_docs, -2, "[name ...]: nothing yet"),
            b"INFO": Subcommand(_command_info, -2, "[name ...]: arity, flags and keys of commands"),
            b"LIST": Subcommand(_command_list, -2, "[FILTERBY PATTERN pattern]: the names of commands"),
        },
    ),
}
"""The commands that a connection answers by itself."""

_REFUSED: Mapping[bytes, Served] = {
    b"MULTI": Served(1, _multi),
    b"EXEC": Served(-1, _exec),
    b"DISCARD": Served(1, _discard),
    b"POST": Served(-1, _attack),
    b"HOST:": Served(-1, _attack),
}
HANDLERS = frozenset([*SERVED, *_REFUSED])
"""The names that never reach the state machine, in upper case."""
_ALLOWED_WHILE_REFUSING = frozenset([*_REFUSED, b"QUIT", b"RESET"]) - {b"MULTI"}


def handler_of(session: Session, command: Command) -> Handler | None:
    """What answers the command here; None when that is up to the state machine."""
    name = command[0].upper()
    if session.is_refusing and name not in _ALLOWED_WHILE_REFUSING:
        return _refuse
    served = SERVED.get(name) or _REFUSED.get(name)
    if served is None:
        return None
    if not served.subcommands or len(command) == 1:
        if served.handler is None or not _fits(served.arity, len(command)):
            return _refuse_arity
        return served.handler
    if command[1].upper() == b"HELP":
        return _help if len(command) == 2 else _refuse_arity
    subcommand = served.subcommands.get(command[1].upper())
    if subcommand is None:
        return _refuse_subcommand
    return subcommand.handler if _fits(subcommand.arity, len(command)) else _refuse_arity


def full_name(command: Command) -> bytes:
    """The name of a command that is answered here, with its subcommand's: `client|list`; empty for none."""
    name = command[0].upper()
    served = SERVED.get(name)
    if served is None or not served.subcommands or len(command) == 1:
        return name.lower() if name in HANDLERS else b""
    subcommand = command[1].upper()
    is_known = subcommand in served.subcommands or subcommand == b"HELP"
    return b"|".join([name, subcommand]).lower() if is_known else b""


def _refuse_arity(session: Session, command: Command) -> Reply:
    return CommandError(f"ERR wrong number of arguments for '{full_name(command).decode()}' command")


def _refuse_subcommand(session: Session, command: Command) -> Reply:
    name = command[0].decode("ascii").upper()
    return CommandError(f"ERR unknown subcommand '{text_of(command[1])}'. Try {name} HELP.")


def _help(session: Session, command: Command) -> Reply:
    name = command[0].decode("ascii").upper()
    lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for subcommand, (_, _, summary) in SERVED[name.encode()].subcommands.items():
        lines += [subcommand.decode(), f"    {summary}"]
    return list(map(SimpleString, [*lines, "HELP", "    this list"]))
