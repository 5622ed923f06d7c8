"""The commands on the strings of many keys: MGET, MSET, MSETNX."""

from __future__ import annotations

from epaxos.interfaces import Command, Reply
from epaxos.interfaces.redis import OK, wrong_arity
from epaxos.statemachines.redis.keys import exists
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Keys, Piecewise, sum_in_pieces
from epaxos.statemachines.redis.values import Collection

__all__ = ["COMMANDS"]


def _mget(space: Space, command: Command) -> Found:
    return [_string_or_none(space, key) for key in command[1:]]


def _string_or_none(space: Space, key: bytes) -> Found:
    """A value of another type is none to MGET."""
    value = space.get(key)
    return None if isinstance(value, Collection) else value


def _mget_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    found: list[Found] = []
    for start in range(1, len(command), size):
        if start > 1:
            yield
        found += [_string_or_none(space, key) for key in command[start : start + size]]
    return found


def _check_pairs(command: Command) -> None:
    if len(command) % 2 == 0:
        raise wrong_arity(command[0].decode().lower())


def _mset(space: Space, command: Command) -> Reply:
    for key, value in zip(command[1::2], command[2::2]):
        space.set(key, value)
    return OK


def _mset_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    pairs = max(2, size - size % 2)
    for start in range(1, len(command), pairs):
        if start > 1:
            yield
        _mset(space, (command[0], *command[start : start + pairs]))
    return OK


def _msetnx(space: Space, command: Command) -> Reply:
    if any(map(space.exists, command[1::2])):
        return 0
    _mset(space, command)
    return 1


def _msetnx_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    found = yield from sum_in_pieces(exists, space, (command[0], *command[1::2]), size)
    if found:
        return 0
    yield
    yield from _mset_in_pieces(space, command, size)
    return 1


COMMANDS = (
    CommandSpec(
        b"MGET", _mget, -2, Keys.ALL, False, since=1, in_pieces=_mget_in_pieces, usage="MGET key [key ...]",
        summary="the values, of one point of the order", categories=("string",),
        complexity="O(N) with N keys",
    ),
    CommandSpec(
        b"MSET", _mset, -3, Keys.PAIRS, True, check=_check_pairs, plain=3, since=1,
        in_pieces=_mset_in_pieces,
        usage="MSET key value [key value ...]", summary="set all of the keys, together",
        flags=("denyoom",), categories=("string",), complexity="O(N) with N keys",
    ),
    CommandSpec(
        b"MSETNX", _msetnx, -3, Keys.PAIRS, True, check=_check_pairs, plain=3, since=1,
        in_pieces=_msetnx_in_pieces,
        usage="MSETNX key value [key value ...]",
        summary="set all of the keys, together, when none of them exists", flags=("denyoom",),
        categories=("string",), complexity="O(N) with N keys",
    ),
)  # fmt: skip
