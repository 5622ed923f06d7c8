"""The commands on lists for which clients may wait: BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP.

Here they answer at once, with nil where there is nothing.  The waiting is the frontend's, which submits them
again (`epaxos.connections.blocking`).
"""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, NilArray
from epaxos.interfaces.redis import timeout_ms_of
from epaxos.statemachines.redis.items import PIECE_ELEMENTS, Items
from epaxos.statemachines.redis.list_pops import Pop, check_ends, lmove, many_pop, pop_first, rpoplpush
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched, at_once

__all__ = ["COMMANDS", "check_last_timeout"]


def check_last_timeout(command: Command) -> None:
    """Raise CommandError where the last argument is no timeout."""
    timeout_ms_of(command[-1])


def _elements(value: Any, command: Command, key: bytes) -> int:
    return len(value) if isinstance(value, Items) else 0


class _Pop:
    """BLPOP or BRPOP: pops with `pop` from the first key that has a list."""

    def __init__(self, pop: Pop) -> None:
        self._pop = pop
        self.handler = at_once(self.in_pieces)

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        for place, key in enumerate(command[1:-1], 1):
            if space.typed(key, Items) is not None:
                items = space.own(key, Items)
                element = self._pop(items)
                space.keep_rest(key, items)
                return [key, element]
            if place % size == 0:
                yield
        return NilArray()


# -- BLMOVE, BRPOPLPUSH


def _check_blmove(command: Command) -> None:
    check_ends(command)
    check_last_timeout(command)


# -- BLMPOP


def _check_blmpop(command: Command) -> None:
    many_pop(command[2:])
    timeout_ms_of(command[1])


def _blmpop_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    return (yield from pop_first(space, many_pop(command[2:]), size))


def _find_blmpop(command: Command) -> Touched:
    return Touched(many_pop(command[2:]).keys)


def _is_large_blmpop(space: Space, command: Command) -> bool:
    return many_pop(command[2:]).most > PIECE_ELEMENTS


_BLOCKS: Any = {"flags": ("blocking",), "categories": ("list", "blocking"), "elements": _elements}
_MOVES: Any = {**_BLOCKS, "flags": ("denyoom", "blocking")}


def _pops() -> list[CommandSpec]:
    return [
        CommandSpec(
            name, pop.handler, -3, Keys.ALL_BUT_LAST, True, check=check_last_timeout, in_pieces=pop.in_pieces,
            usage=f"{name.decode()} key [key ...] timeout", complexity="O(N) with N keys",
            summary=f"remove and return the {place} element of the first key that has a list, and the name of"
            " the key; the client waits until there is one, for at most `timeout` seconds",
            **_BLOCKS,
        )
        for name, pop, place in (
            (b"BLPOP", _Pop(Items.pop_left), "first"),
            (b"BRPOP", _Pop(Items.pop_right), "last"),
        )
    ]  # fmt: skip


COMMANDS = (
    *_pops(),
    CommandSpec(
        b"BLMOVE", lmove, 6, Keys.TWO, True, check=_check_blmove,
        usage="BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout",
        summary="as LMOVE; the client waits until there is an element, for at most `timeout` seconds",
        **_MOVES,
    ),
    CommandSpec(
        b"BRPOPLPUSH", rpoplpush, 4, Keys.TWO, True, check=check_last_timeout,
        usage="BRPOPLPUSH source destination timeout", summary="as BLMOVE with RIGHT and LEFT",
        **_MOVES,
    ),
    CommandSpec(
        b"BLMPOP", at_once(_blmpop_in_pieces), -5, Keys.NONE, True, check=_check_blmpop, find=_find_blmpop,
        in_pieces=_blmpop_in_pieces, is_large=_is_large_blmpop,
        usage="BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]",
        summary="as LMPOP; the client waits until there is an element, for at most `timeout` seconds",
        complexity="O(N+M) with N keys and M elements of the reply",
        **_BLOCKS,
    ),
)  # fmt: skip
