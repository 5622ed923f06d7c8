"""The commands that only read one set.  The value itself: `members.py`."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, CommandError, Reply, ReplySet
from epaxos.interfaces.redis import SYNTAX_ERROR
from epaxos.statemachines.redis.drawing import (
    check_drawn,
    drawn_count,
    is_large_draw,
    names_drawn,
)
from epaxos.statemachines.redis.members import Members
from epaxos.statemachines.redis.named_reads import Scan, Whole, check_scan, is_large, size_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once, never

__all__ = ["COMMANDS"]


def _sismember(space: Space, command: Command) -> Reply:
    members = space.typed(command[1], Members)
    return 0 if members is None else int(command[2] in members)


def _smismember(space: Space, command: Command) -> Reply:
    members = space.typed(command[1], Members) or Members()
    return [int(value is not None) for value in members.get_all(command[2:])]


def _smismember_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    members = space.typed(command[1], Members) or Members()
    found: list[Any] = []
    for start in range(2, len(command), size):
        if start > 2:
            yield
        found += [int(value is not None) for value in members.get_all(command[start : start + size])]
    return found


_ALL = Whole(Members, reply=ReplySet)
_LIST = Whole(Members)


def _check_random(command: Command) -> None:
    if len(command) > 3:
        raise CommandError(SYNTAX_ERROR)
    if len(command) == 3:
        check_drawn(drawn_count(command[2]))


def _srandmember_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    members = space.typed(command[1], Members)
    if len(command) == 2:
        return None if members is None else members.name_at(space.moment.draw(len(members)))
    if members is None:
        return []
    count = int(command[2])
    if count >= len(members):
        return (yield from _LIST.in_pieces(space, command, size))
    return (yield from names_drawn(members, space.moment, count))


_SSCAN = Scan(Members, lambda members, names: names)


def _read(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, handler, arity, Keys.FIRST, False, usage=usage, summary=summary, categories=("set",), **more
    )


COMMANDS = (
    _read(b"SISMEMBER", _sismember, 3, "SISMEMBER key member", "whether it is a member: 1 or 0"),
    _read(
        b"SMISMEMBER", _smismember, -3, "SMISMEMBER key member [member ...]",
        "for each whether it is a member", in_pieces=_smismember_in_pieces, complexity="O(N) with N members",
    ),
    _read(b"SCARD", size_of(Members), 2, "SCARD key", "the number of members"),
    _read(
        b"SMEMBERS", _ALL, 2, "SMEMBERS key", "all members", in_pieces=_ALL.in_pieces,
        is_large=is_large(Members), flags=(), complexity="O(N) with N members of the set",
    ),
    _read(
        b"SRANDMEMBER", at_once(_srandmember_in_pieces), -2, "SRANDMEMBER key [count]",
        "a member by chance, or `count` different ones; -`count`: one may come again",
        check=_check_random, in_pieces=_srandmember_in_pieces, is_large=is_large_draw(Members),
        takes_seed=True, flags=(), complexity="O(N) with N members of the set",
    ),
    _read(
        b"SSCAN", _SSCAN, -3, "SSCAN key cursor [MATCH pattern] [COUNT count]",
        "some members, and the cursor that goes on, 0 when that was all",
        check=check_scan, is_large=never, flags=(), complexity="O(1) for each call",
    ),
)  # fmt: skip
