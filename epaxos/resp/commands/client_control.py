"""CLIENT KILL, PAUSE and UNPAUSE: what one client does to others of the same replica."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, integer_of
from epaxos.resp.commands.spec import SYNTAX, Subcommand, whole_text_of
from epaxos.resp.interfaces import IClient

__all__ = ["KINDS", "SUBCOMMANDS", "kind_of"]

OPTIONS_MAX = 16
"""The most options of one CLIENT KILL; there are fewer, and of one that is repeated the last counts."""
PAUSE_MS_MAX = 366 * 86_400_000
"""The longest pause: a year, because a number that is higher was meant as a time."""
KINDS = (b"normal", b"master", b"slave", b"replica", b"pubsub")
"""The kinds of clients, as Redis names them; there are normal ones and those that listen."""
"""The only user."""

_Test = Callable[[IClient], bool]


def kind_of(client: IClient) -> bytes:
    """Of which of KINDS a client is."""
    return b"pubsub" if client.session.subscriptions else b"normal"


def _kill(client: IClient, command: Command) -> Reply:
    if len(command) == 3:
        killed = _kill_all(client, [_at(command[2], "addr=")], skips_own=False)
        return OK if killed else CommandError("ERR No such client")
    if len(command) % 2 or len(command) > 2 + 2 * OPTIONS_MAX:
        return SYNTAX
    tests: dict[bytes, _Test] = {}
    skips_own = True
    for option, value in zip(command[2::2], command[3::2]):
        name = option.upper()
        if name == b"SKIPME":
            if value.lower() not in (b"yes", b"no"):
                return SYNTAX
            skips_own = value.lower() == b"yes"
            continue
        test = _test_of(client, name, value)
        if isinstance(test, CommandError):
            return test
        tests[name] = test
    return _kill_all(client, list(tests.values()), skips_own)


def _test_of(client: IClient, name: bytes, value: bytes) -> _Test | CommandError:
    """Whether a client is one of those that an option of CLIENT KILL means."""
    if name == b"ID":
        number = integer_of(value)
        if number is None or number < 1:
            return CommandError("ERR client-id should be greater than 0")
        return lambda each: each.session.client_id == number
    if name == b"ADDR":
        return _at(value, "addr=")
    if name == b"LADDR":
        return _at(value, "laddr=")
    if name == b"TYPE":
        kind = value.lower()
        if kind not in KINDS:
            return CommandError(f"ERR Unknown client type '{whole_text_of(value)}'")
        return lambda each: kind_of(each) == kind
    if name == b"USER":
        if client.server.admittance.find(value) is None:
            return CommandError(f"ERR No such user '{whole_text_of(value)}'")
        return lambda each: each.session.user == value
    return SYNTAX


def _at(address: bytes, label: str) -> _Test:
    """Whether a client has this address; `label` says which of its two, as in CLIENT LIST."""
    place = label + whole_text_of(address)
    return lambda each: place in each.session.place.split(" ")


def _kill_all(client: IClient, tests: list[_Test], skips_own: bool) -> int:
    """End the connections of all clients that pass the tests; the own one after the reply."""
    killed = [
        each
        for each in client.server.clients().values()
        if all(test(each) for test in tests) and not (skips_own and each is client)
    ]
    for each in killed:
        if each is client:
            each.leave()
        else:
            each.end("killed by another client, with CLIENT KILL")
    return len(killed)


def _pause(client: IClient, command: Command) -> Reply:
    if len(command) > 4:
        return SYNTAX
    mode = command[3].upper() if len(command) == 4 else b"ALL"
    if mode not in (b"ALL", b"WRITE"):
        return CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    duration_ms = integer_of(command[2])
    if duration_ms is None or duration_ms > PAUSE_MS_MAX:
        return CommandError("ERR timeout is not an integer or out of range")
    if duration_ms < 0:
        return CommandError("ERR timeout is negative")
    client.server.pause.begin(duration_ms / 1000, mode == b"WRITE")
    return OK


def _unpause(client: IClient, command: Command) -> Reply:
    client.server.pause.end()
    return OK


SUBCOMMANDS = {
    b"KILL": Subcommand(
        _kill,
        -3,
        "address | [ID number] [TYPE type] [USER name] [ADDR address] [LADDR address] [SKIPME YES|NO]:"
        " close connections to this replica",
    ),
    b"PAUSE": Subcommand(
        _pause, -3, "milliseconds [ALL|WRITE]: the commands of this replica's clients wait so long"
    ),
    b"UNPAUSE": Subcommand(_unpause, 2, "end a pause for writes before its time"),
}
"""These subcommands of CLIENT, by their names."""
