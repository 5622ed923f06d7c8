"""The commands for which a client waits: BLPOP and the like, and CLIENT UNBLOCK (docs: using/clients).

Each is a command of the state machine, which answers at once, with nil where there is nothing; so it does
inside MULTI and in scripts.  The waiting is in `epaxos.connections.blocking`.  A new one needs an entry in
`_BLOCKING`, and `CommandSpec.elements` in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from epaxos.connections.blocking import Wish
from epaxos.interfaces import Command, CommandError, NilArray, Reply
from epaxos.interfaces.composites import last_id_of
from epaxos.interfaces.redis import NOT_AN_INTEGER, integer_of, timeout_ms_of
from epaxos.resp.commands.placing import placed
from epaxos.resp.commands.run import Waits
from epaxos.resp.commands.spec import Answer, Handler, Subcommand
from epaxos.resp.interfaces import IClient

__all__ = ["NAMES", "SUBCOMMANDS", "handler_of", "is_blocking"]

KEYS_MAX = 1_000
"""The most keys for which one client waits, because it stands in a queue for each of them."""
KEY_BYTES = 300
"""Memory that a place in a queue takes beside the key, about."""
_UNBLOCKED = CommandError("UNBLOCKED client unblocked via CLIENT UNBLOCK")


class _Blocking(NamedTuple):
    """How a command that has passed `check` says what it waits for.

    `keys(command)`: those at which it waits for elements.  `timeout_at`: where the timeout stands, which is
    in seconds.  `kind`: see Wish.
    """

    keys: Callable[[Command], Sequence[bytes]]
    timeout_at: int
    kind: Hashable


def _all(command: Command) -> Sequence[bytes]:
    return command[1:-1]


def _source(command: Command) -> Sequence[bytes]:
    return command[1:2]


def _counted(command: Command) -> Sequence[bytes]:
    return command[3 : 3 + int(command[2])]


_BLOCKING: Mapping[bytes, _Blocking] = {
    b"BLPOP": _Blocking(_all, -1, "list"),
    b"BRPOP": _Blocking(_all, -1, "list"),
    b"BLMOVE": _Blocking(_source, -1, "list"),
    b"BRPOPLPUSH": _Blocking(_source, -1, "list"),
    b"BLMPOP": _Blocking(_counted, 1, "list"),
    b"BZPOPMIN": _Blocking(_all, -1, "zset"),
    b"BZPOPMAX": _Blocking(_all, -1, "zset"),
    b"BZMPOP": _Blocking(_counted, 1, "zset"),
}
_STREAMS = frozenset([b"XREAD", b"XREADGROUP"])
"""These wait when they say BLOCK."""
NAMES = _STREAMS.union(_BLOCKING)
"""The names of commands that may wait, in upper case."""
_OPTIONS = {b"BLOCK": 2, b"COUNT": 2, b"GROUP": 3, b"NOACK": 1}
"""The options of XREAD and XREADGROUP, and the number of their words."""
_LAST = b"$"


def _places(command: Command) -> tuple[int, int]:
    """Where the timeout of an XREAD or XREADGROUP stands, and its first key; 0 for none."""
    place, block_at = 1, 0
    while place < len(command):
        name = command[place].upper()
        if name == b"STREAMS":
            return block_at, place + 1
        if name not in _OPTIONS:
            break
        if name == b"BLOCK":
            block_at = place + 1
        place += _OPTIONS[name]
    return 0, 0


def is_blocking(command: Command) -> bool:
    """Whether a client that sends this command may wait."""
    return handler_of(command) is not None


def handler_of(command: Command) -> Handler | None:
    """What lets a client wait; None for a command that never waits."""
    name = command[0].upper()
    if name in _BLOCKING:
        return _wait
    return _wait_for_entries if name in _STREAMS and _places(command)[0] else None


def _waits(
    client: IClient,
    command: Command,
    keys: Sequence[bytes],
    timeout_ms: int,
    kind: Hashable | None,
    same: Hashable | None,
) -> Waits | CommandError:
    """`kind`, `same`: see Wish."""
    if len(keys) > KEYS_MAX:
        return CommandError(f"ERR more than {KEYS_MAX} keys to wait for")
    database = client.session.database
    wish = Wish(placed(database, command), database, command, keys, kind, same)
    return Waits(wish, timeout_ms / 1000, sum(map(len, command)) + KEY_BYTES * len(keys))


def _wait(client: IClient, command: Command) -> Answer:
    try:
        client.server.replica.check(command)
    except CommandError as error:
        return error.with_traceback(None)
    name = command[0].upper()
    keys_of, timeout_at, kind = _BLOCKING[name]
    rest = list(command)
    timeout_ms = timeout_ms_of(rest.pop(timeout_at))
    same = (client.session.database, name, *rest[1:])
    return _waits(client, command, keys_of(command), timeout_ms, kind, same)


# -- streams


def _wait_for_entries(client: IClient, command: Command) -> Answer:
    """XREAD gives everybody the same, so nobody shares; those of a group share what is new for it."""
    try:
        client.server.replica.check(command)
    except CommandError as error:
        return error.with_traceback(None)
    block_at, keys_at = _places(command)
    half = (len(command) - keys_at) // 2
    keys, ids = command[keys_at : keys_at + half], command[keys_at + half :]
    is_group = command[0].upper() == b"XREADGROUP"
    kind = ("group", command[_group_at(command)]) if is_group else None
    answer = _waits(client, command, keys, int(command[block_at]), kind, None)
    if is_group or _LAST not in ids or isinstance(answer, CommandError):
        return answer
    asked = dict.fromkeys(key for key, id in zip(keys, ids) if id == _LAST)
    before = tuple(placed(client.session.database, last_id_of(key)) for key in asked)
    return answer._replace(before=before, settle=partial(_with_last_ids, list(asked), keys_at + half))


def _group_at(command: Command) -> int:
    """Where an XREADGROUP that has passed `check` names its group."""
    place = 1
    while command[place].upper() != b"GROUP":
        place += _OPTIONS[command[place].upper()]
    return place + 1


def _with_last_ids(asked: Sequence[bytes], ids_at: int, wish: Wish, replies: Sequence[Reply]) -> Wish:
    """With the last id of each key of `asked` in the place of `$`: what comes from now on is new."""
    known: Any = dict(zip(asked, replies))
    command = list(wish.asked)
    for place, key in enumerate(wish.keys, ids_at):
        if command[place] == _LAST:
            command[place] = known[key]
    return wish._replace(command=placed(wish.database, command), asked=command)


# -- CLIENT UNBLOCK


def _unblock(client: IClient, command: Command) -> Reply:
    reply: Reply = NilArray()
    if len(command) > 4:
        return CommandError("ERR wrong number of arguments for 'client|unblock' command")
    if len(command) == 4:
        how = command[3].upper()
        if how not in (b"TIMEOUT", b"ERROR"):
            return CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
        reply = _UNBLOCKED if how == b"ERROR" else reply
    number = integer_of(command[2])
    if number is None:
        return CommandError(NOT_AN_INTEGER)
    return int(client.server.blocked.unblock(number, reply))


SUBCOMMANDS = {
    b"UNBLOCK": Subcommand(_unblock, -3, "number [TIMEOUT|ERROR]: let a client of this replica wait no more"),
}
"""These subcommands of CLIENT, by their names."""
