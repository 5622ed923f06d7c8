"""The commands on lists that write, but for those that pop.  The value itself: `items.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import INTEGER_MIN, OK, SYNTAX_ERROR
from epaxos.statemachines.redis.items import Items
from epaxos.statemachines.redis.list_pops import COMMANDS as _POPS
from epaxos.statemachines.redis.list_reads import COMMANDS as _READS
from epaxos.statemachines.redis.list_reads import OUT_OF_RANGE, check_range, is_large, place_of, range_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once

__all__ = ["COMMANDS"]


# -- pushing


class _Push:
    """A command that adds elements with `push`; `is_new`: also where there is no list yet."""

    def __init__(self, push: Callable[[Items, bytes], int], is_new: bool) -> None:
        self._push = push
        self._is_new = is_new

    def __call__(self, space: Space, command: Command) -> Reply:
        """See CommandSpec.handler."""
        key = command[1]
        if not self._is_new and space.typed(key, Items) is None:
            return 0
        items = space.own(key, Items)
        length = 0
        for element in command[2:]:
            length = self._push(items, element)
        space.keep(key, items)
        return length

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        key = command[1]
        if not self._is_new and space.typed(key, Items) is None:
            return 0
        items = space.own(key, Items)
        for start in range(2, len(command), size):
            if start > 2:
                yield
            for element in command[start : start + size]:
                self._push(items, element)
        space.keep(key, items)
        return len(items)


_LPUSH, _RPUSH = _Push(Items.push_left, True), _Push(Items.push_right, True)
_LPUSHX, _RPUSHX = _Push(Items.push_left, False), _Push(Items.push_right, False)


# -- at a place


def _lset(space: Space, command: Command) -> Reply:
    key = command[1]
    if space.typed(key, Items) is None:
        raise CommandError("ERR no such key")
    index = place_of(command[2])
    items = space.own(key, Items)
    size = len(items)
    if not -size <= index < size:
        raise CommandError("ERR index out of range")
    items.set(index % size, command[3])
    space.keep(key, items)
    return OK


def _check_linsert(command: Command) -> None:
    if command[2].upper() not in (b"BEFORE", b"AFTER"):
        raise CommandError(SYNTAX_ERROR)


def _linsert_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key = command[1]
    items = space.typed(key, Items)
    if items is None:
        return 0
    for places in items.matches(command[3]):
        if places:
            items = space.own(key, Items)
            items.insert(places[0] + (command[2].upper() == b"AFTER"), command[4])
            space.keep(key, items)
            return len(items)
        yield
    return -1


# -- removing


def _check_lrem(command: Command) -> None:
    if place_of(command[2]) == INTEGER_MIN:
        raise CommandError(OUT_OF_RANGE)


def _lrem_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key, count = command[1], int(command[2])
    if space.typed(key, Items) is None:
        return 0
    items = space.own(key, Items)
    removed = yield from items.remove(command[3], abs(count) or len(items), count < 0)
    if removed:
        space.keep_rest(key, items)
    return removed


def _ltrim(space: Space, command: Command) -> Reply:
    key = command[1]
    if space.typed(key, Items) is not None:
        items = space.own(key, Items)
        items.keep_slice(*range_of(command, len(items)))
        space.keep_rest(key, items)
    return OK


def _write(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    more = {"flags": ("denyoom",), **more}
    return CommandSpec(
        name, handler, arity, Keys.FIRST, True, usage=usage, summary=summary, categories=("list",), **more
    )


def _pushes() -> list[CommandSpec]:
    return [
        _write(
            name, push, -3, f"{name.decode()} key element [element ...]", summary, flags=("denyoom", "fast"),
            in_pieces=push.in_pieces, complexity="O(N) with N elements",
        )
        for name, push, summary in (
            (b"LPUSH", _LPUSH, "add elements at the head, one after the other; the reply is the length"),
            (b"RPUSH", _RPUSH, "add elements at the tail; the reply is the length"),
            (b"LPUSHX", _LPUSHX, "as LPUSH, where there is a list; else the reply is 0"),
            (b"RPUSHX", _RPUSHX, "as RPUSH, where there is a list; else the reply is 0"),
        )
    ]  # fmt: skip


_LONG: dict[str, Any] = {"is_large": is_large, "complexity": "O(N) with N elements of the list"}

COMMANDS = (
    *_pushes(),
    _write(
        b"LSET", _lset, 4, "LSET key index element", "replace the element at a place of the list",
        complexity="O(N/1024) with N elements of the list",
    ),
    _write(
        b"LINSERT", at_once(_linsert_in_pieces), 5, "LINSERT key BEFORE|AFTER pivot element",
        "add an element beside the first one that is equal to `pivot`; the reply is the length, -1 where"
        " there is no such element, and 0 where there is no list",
        check=_check_linsert, in_pieces=_linsert_in_pieces, **_LONG,
    ),
    _write(
        b"LREM", at_once(_lrem_in_pieces), 4, "LREM key count element",
        "remove the first `count` elements that are equal to this one, from the tail where `count` is"
        " negative, all where it is 0; the reply is their number",
        check=_check_lrem, in_pieces=_lrem_in_pieces, flags=(), **_LONG,
    ),
    _write(
        b"LTRIM", _ltrim, 4, "LTRIM key start stop", "remove all elements but those from `start` to `stop`",
        check=check_range, flags=(), complexity="O(N/1024) with N elements of the list",
    ),
    *_POPS,
    *_READS,
)  # fmt: skip
