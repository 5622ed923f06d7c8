"""Intersection, union and difference of sets.

The order of a result follows from the sets alone: that of the smallest one for an intersection, of the first
one for a difference; a union begins with the largest one.

A set that is stored names its sources as keys that it writes, so that one whose deadline has come is removed
where the command stands, and not behind what the same client sent later.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from epaxos.interfaces import Command, CommandError, ReplySet
from epaxos.interfaces.redis import SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.members import Members
from epaxos.statemachines.redis.named import PIECE_NAMES
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched, at_once

__all__ = ["COMMANDS"]

Sets = Sequence[Members | None]
"""None stands for a set without members."""
Operation = Callable[[Sets], Generator[None, None, Members]]
"""Returns a set that nobody else has, or that shares its parts with others as a copy does."""


def _common(sets: Sets) -> Iterator[list[bytes]]:
    """The members that all sets have, in lists that are one step each, and may be empty."""
    present = [members for members in sets if members is not None]
    if len(present) < len(sets):
        return
    smallest, *others = sorted(present, key=len)
    for names in smallest.flat():
        for other in others:
            yield []
            names = other.among(names)
            if not names:
                break
        yield names


def _intersection(sets: Sets) -> Generator[None, None, Members]:
    found = Members()
    for names in _common(sets):
        if names:
            found.add_all(names)
        yield
    return found


def _union(sets: Sets) -> Generator[None, None, Members]:
    present = [members for members in sets if members is not None]
    if not present:
        return Members()
    largest = max(present, key=len)
    found = largest.copy()
    for other in present:
        if other is not largest:
            for names in other.flat():
                found.add_all(names)
                yield
    return found


def _difference(sets: Sets) -> Generator[None, None, Members]:
    first, *others = sets
    if first is None:
        return Members()
    found = first.copy()
    for other in others:
        if other is None:
            continue
        if len(other) < len(found):
            for names in other.flat():
                found.remove_all(names)
                yield
        else:
            for names in found.copy().flat():
                found.remove_all(other.among(names))
                yield
        if not len(found):
            break
    return found


def _sets_of(space: Space, keys: Sequence[bytes]) -> Generator[None, None, list[Members | None]]:
    """The sets of these keys.  Raises CommandError, and lets Due through."""
    found: list[Members | None] = []
    for key in keys:
        found.append(space.typed(key, Members))
        if len(found) % PIECE_NAMES == 0:
            yield
    return found


def _is_large(keys_of: Callable[[Command], Sequence[bytes]]) -> Callable[[Space, Command], bool]:
    """Whether the sets of these keys have many members in all."""

    def is_large(space: Space, command: Command) -> bool:
        sets = (space.typed(key, Members) for key in keys_of(command))
        return sum(len(members) for members in sets if members is not None) > PIECE_NAMES

    return is_large


# -- the commands


def _told(operation: Operation) -> Callable[[Space, Command, int], Piecewise]:
    def in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        found = yield from operation((yield from _sets_of(space, command[1:])))
        reply = ReplySet()
        for names in found.flat():
            reply += names
            yield
        return reply

    return in_pieces


def _stored(operation: Operation) -> Callable[[Space, Command, int], Piecewise]:
    def in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        found = yield from operation((yield from _sets_of(space, command[2:])))
        if len(found):
            space.set(command[1], found)
        else:
            space.pop(command[1])
        return len(found)

    return in_pieces


def _card_keys(command: Command) -> Sequence[bytes]:
    count = integer_of(command[1]) or 0
    return command[2 : 2 + max(0, count)]


def _limit(command: Command) -> int:
    """The most members that SINTERCARD counts, 0 for any number.  Raises CommandError."""
    count = integer_of(command[1])
    if count is None or count < 1:
        raise CommandError("ERR numkeys should be greater than 0")
    if count > len(command) - 2:
        raise CommandError("ERR Number of keys can't be greater than number of args")
    limit: int | None = 0
    options = command[2 + count :]
    for place in range(0, len(options), 2):
        if options[place].upper() != b"LIMIT" or place + 1 == len(options):
            raise CommandError(SYNTAX_ERROR)
        limit = integer_of(options[place + 1])
        if limit is None or limit < 0:
            raise CommandError("ERR LIMIT can't be negative")
    return limit or 0


def _check_card(command: Command) -> None:
    _limit(command)


def _find_card(command: Command) -> Touched:
    return Touched((), _card_keys(command))


def _sintercard_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    limit, found = _limit(command), 0
    for names in _common((yield from _sets_of(space, _card_keys(command)))):
        found += len(names)
        if limit and found >= limit:
            return limit
        yield
    return found


def _specs(operation: Operation, name: bytes, what: str) -> Iterator[CommandSpec]:
    """The command that tells what `operation` finds, and the one that stores it."""
    more: dict[str, Any] = {"categories": ("set",), "complexity": "O(N) with N members of all sets"}
    told, stored = _told(operation), _stored(operation)
    yield CommandSpec(
        name, at_once(told), -2, Keys.ALL, False, flags=(), in_pieces=told,
        is_large=_is_large(lambda command: command[1:]), usage=f"{name.decode()} key [key ...]",
        summary=f"the members that {what}", **more,
    )  # fmt: skip
    yield CommandSpec(
        name + b"STORE", at_once(stored), -3, Keys.ALL, True, flags=("denyoom",), in_pieces=stored,
        is_large=_is_large(lambda command: command[2:]),
        usage=f"{name.decode()}STORE destination key [key ...]",
        summary=f"set `destination` to the members that {what}; the reply counts them", **more,
    )  # fmt: skip


COMMANDS = (
    *_specs(_intersection, b"SINTER", "all sets have"),
    *_specs(_union, b"SUNION", "any of the sets has"),
    *_specs(_difference, b"SDIFF", "the first set has, and none of the others"),
    CommandSpec(
        b"SINTERCARD", at_once(_sintercard_in_pieces), -3, Keys.NONE, False, flags=(), check=_check_card,
        find=_find_card, in_pieces=_sintercard_in_pieces, is_large=_is_large(_card_keys),
        usage="SINTERCARD numkeys key [key ...] [LIMIT limit]", categories=("set",),
        summary="the number of members that all sets have, `limit` at most",
        complexity="O(N) with N members of the smallest set",
    ),
)  # fmt: skip
