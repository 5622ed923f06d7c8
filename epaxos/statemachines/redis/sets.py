"""The commands that write sets, as Redis 7 has them.  The value itself: `members.py`."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, Reply, ReplySet
from epaxos.statemachines.redis.common_writes import check_pop, removal_from
from epaxos.statemachines.redis.drawing import is_large_draw, names_drawn
from epaxos.statemachines.redis.members import Members
from epaxos.statemachines.redis.named import PIECE_NAMES
from epaxos.statemachines.redis.set_operations import COMMANDS as _OPERATIONS
from epaxos.statemachines.redis.set_reads import COMMANDS as _READS
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once

__all__ = ["COMMANDS"]


def _sadd(space: Space, command: Command) -> int:
    key = command[1]
    members = space.own(key, Members)
    added = members.add_all(command[2:])
    if added:
        space.keep(key, members)
    return added


def _sadd_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key = command[1]
    members = space.own(key, Members)
    added = 0
    for start in range(2, len(command), size):
        if start > 2:
            yield
        added += members.add_all(command[start : start + size])
    if added:
        space.keep(key, members)
    return added


_REMOVAL = removal_from(Members)


def _smove(space: Space, command: Command) -> Reply:
    source, target, member = command[1:]
    if space.typed(source, Members) is None:
        return 0
    space.typed(target, Members)  # its error comes before any change
    members = space.own(source, Members)
    if source == target:
        return int(member in members)
    if not members.remove(member):
        return 0
    space.keep_rest(source, members)
    members = space.own(target, Members)
    if members.add(member):
        space.keep(target, members)
    return 1


def _spop_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key = command[1]
    held = space.typed(key, Members)
    if len(command) == 2:
        if held is None:
            return None
        member = held.name_at(space.moment.draw(len(held)))
        members = space.own(key, Members)
        members.remove(member)
        space.keep_rest(key, members)
        return member
    popped, count = ReplySet(), int(command[2])
    if held is None or not count:
        return popped
    if count >= len(held):
        for names in held.flat():
            popped += names
            yield
        space.pop(key)
        return popped
    popped += yield from names_drawn(held, space.moment, count)
    members = space.own(key, Members)
    for start in range(0, count, PIECE_NAMES):
        members.remove_all(popped[start : start + PIECE_NAMES])
        yield
    space.keep(key, members)
    return popped


def _write(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    more = {"keys": Keys.FIRST, "flags": ("fast",), **more}
    return CommandSpec(
        name, handler, arity, writes=True, usage=usage, summary=summary, categories=("set",), **more
    )


COMMANDS = (
    _write(
        b"SADD", _sadd, -3, "SADD key member [member ...]",
        "add members to a set; the reply counts those that are new",
        in_pieces=_sadd_in_pieces, flags=("denyoom", "fast"), complexity="O(N) with N members",
    ),
    _write(
        b"SREM", _REMOVAL.handler, -3, "SREM key member [member ...]",
        "remove members; the reply counts those that existed; a set without members is removed",
        in_pieces=_REMOVAL.in_pieces, complexity="O(N) with N members",
    ),
    _write(
        b"SMOVE", _smove, 4, "SMOVE source destination member",
        "move a member to another set; the reply is 1, or 0 when it is not in `source`", keys=Keys.TWO,
    ),
    _write(
        b"SPOP", at_once(_spop_in_pieces), -2, "SPOP key [count]",
        "remove a member by chance, or `count` different ones; the reply tells them",
        check=check_pop, in_pieces=_spop_in_pieces, is_large=is_large_draw(Members),
        takes_seed=True, complexity="O(N) with N members of the set",
    ),
    *_READS,
    *_OPERATIONS,
)  # fmt: skip
