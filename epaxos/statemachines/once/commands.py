"""The commands of sessions, as clients write them: EPAXOS SESSION and EPAXOS ONCE."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple, Union

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.once import not_inside
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of, wrong_arity
from epaxos.statemachines.once.sessions import PASSED, SESSION_ID_BYTES

__all__ = ["SPELLINGS", "Begin", "End", "Once", "parse"]

SPELLINGS = frozenset(bytes(letters) for letters in product(*zip(b"EPAXOS", b"epaxos")))
"""The name EPAXOS in all spellings."""
NOT_INSIDE = frozenset(
    b"""
    EPAXOS MULTI EXEC DISCARD WATCH UNWATCH MONITOR WAIT WAITAOF
    SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE
    BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP
    """.split()
)
"""Commands that never run inside of ONCE: they wait, listen, belong to a connection, or administer."""
_ONCE_ELEMENTS_MIN = 6


class Begin(NamedTuple):
    """EPAXOS SESSION."""


class End(NamedTuple):
    """EPAXOS SESSION END session [uses]: end it, with `uses` only if it was used that often."""

    session: bytes
    uses: int | None


class Once(NamedTuple):
    """EPAXOS ONCE session seq acked COMMAND args…"""

    session: bytes
    number: int
    acked: int
    command: Command


def parse(command: Command) -> Union[Begin, End, Once]:
    """What a command whose name is EPAXOS asks for.  Raises CommandError when it can never run."""
    what = command[1].upper() if len(command) > 1 else b""
    if what == b"ONCE":
        return _once(command)
    if what == b"SESSION":
        return _session(command)
    raise CommandError(SYNTAX_ERROR)


def _session(command: Command) -> Union[Begin, End]:
    if len(command) == 2:
        return Begin()
    if command[2].upper() != b"END":
        raise CommandError(SYNTAX_ERROR)
    if len(command) not in (4, 5):
        raise wrong_arity("epaxos|session")
    return End(_id(command[3]), _integer(command[4]) if len(command) == 5 else None)


def _once(command: Command) -> Once:
    if len(command) < _ONCE_ELEMENTS_MIN:
        raise wrong_arity("epaxos|once")
    session, number, acked = _id(command[2]), _integer(command[3]), _integer(command[4])
    if command[5].upper() in NOT_INSIDE:
        raise not_inside(command[5])
    if number <= acked:
        raise CommandError(PASSED)
    return Once(session, number, acked, command[5:])


def _id(text: bytes) -> bytes:
    try:
        id = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        id = b""
    if len(id) != SESSION_ID_BYTES or len(text) != 2 * SESSION_ID_BYTES:
        raise CommandError(f"ERR a session has {2 * SESSION_ID_BYTES} hexadecimal digits")
    return id


def _integer(text: bytes) -> int:
    """A number from 0 on."""
    number = integer_of(text)
    if number is None or number < 0:
        raise CommandError(NOT_AN_INTEGER)
    return number
