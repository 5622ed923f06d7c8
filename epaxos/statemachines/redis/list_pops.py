"""The commands on lists that pop elements, or move one to another list.  The value itself: `items.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, NilArray, Reply
from epaxos.interfaces.redis import SYNTAX_ERROR, integer_of, wrong_arity
from epaxos.statemachines.redis.items import PIECE_ELEMENTS, Items
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Keys, Piecewise, Touched, at_once

__all__ = [
    "COMMANDS", "ENDS", "ManyPop", "Pop", "Push", "check_ends", "lmove", "many_pop", "move", "pop_first",
    "pop_some", "rpoplpush",
]  # fmt: skip

Pop = Callable[[Items], bytes | None]
Push = Callable[[Items, bytes], int]

ENDS: dict[bytes, tuple[Pop, Push]] = {
    b"LEFT": (Items.pop_left, Items.push_left),
    b"RIGHT": (Items.pop_right, Items.push_right),
}
"""The ends of a list as commands name them, and what pops and pushes there."""


def pop_some(space: Space, key: bytes, pop: Pop, count: int, size: int) -> Piecewise:
    """Remove and return `count` elements, or all, of a list that is there; None after each `size` of them."""
    items = space.own(key, Items)
    found: list[Any] = []
    count = min(count, len(items))
    while len(found) < count:
        if found:
            yield
        found += [pop(items) for _ in range(min(size, count - len(found)))]
    if found:
        space.keep_rest(key, items)
    return found


# -- LPOP, RPOP


def _check_pop(command: Command) -> None:
    if len(command) > 3:
        raise wrong_arity(command[0].decode().lower())
    if len(command) == 3 and _count_of(command[2]) is None:
        raise CommandError("ERR value is out of range, must be positive")


def _count_of(text: bytes) -> int | None:
    """A number of elements, None where it is none."""
    count = integer_of(text)
    return None if count is None or count < 0 else count


class _Pop:
    """A command that pops elements with `pop`."""

    def __init__(self, pop: Pop) -> None:
        self._pop = pop
        self._several = at_once(self.in_pieces)

    def __call__(self, space: Space, command: Command) -> Found:
        """See CommandSpec.handler."""
        if len(command) == 3:
            return self._several(space, command)
        items = space.own(command[1], Items)
        element = self._pop(items)
        if element is not None:
            space.keep_rest(command[1], items)
        return element

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        if len(command) == 2:
            return self(space, command)
        if space.typed(command[1], Items) is None:
            return NilArray()
        return (yield from pop_some(space, command[1], self._pop, int(command[2]), size))


def _pops_many(space: Space, command: Command) -> bool:
    return len(command) == 3 and int(command[2]) > PIECE_ELEMENTS


# -- LMPOP


class ManyPop(NamedTuple):
    """What `numkeys key [key ...] LEFT|RIGHT [COUNT count]` says."""

    keys: Command
    pop: Pop
    most: int


def many_pop(words: Command) -> ManyPop:
    """Parse the words behind the name of LMPOP.  Raises CommandError."""
    number, end = _count_of(words[0]), len(words)
    if not number:
        raise CommandError("ERR numkeys should be greater than 0")
    options = words[number + 1 :] if number < end else ()
    side = options[0].upper() if options else b""
    if side not in ENDS or len(options) == 2:
        raise CommandError(SYNTAX_ERROR)
    if len(options) == 1:
        return ManyPop(words[1 : number + 1], ENDS[side][0], 1)
    if options[1].upper() != b"COUNT":
        raise CommandError(SYNTAX_ERROR)
    count = _count_of(options[2])
    if not count:
        raise CommandError("ERR count should be greater than 0")
    if len(options) > 3:
        raise CommandError(SYNTAX_ERROR)
    return ManyPop(words[1 : number + 1], ENDS[side][0], count)


def pop_first(space: Space, wanted: ManyPop, size: int) -> Piecewise:
    """Pop from the first key that has a list: its name and the elements.  None after each step."""
    for place, key in enumerate(wanted.keys, 1):
        if space.typed(key, Items) is not None:
            return [key, (yield from pop_some(space, key, wanted.pop, wanted.most, size))]
        if place % size == 0:
            yield
    return NilArray()


def _lmpop_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    return (yield from pop_first(space, many_pop(command[1:]), size))


def _check_lmpop(command: Command) -> None:
    many_pop(command[1:])


def _find_lmpop(command: Command) -> Touched:
    return Touched(many_pop(command[1:]).keys)


def _is_large_lmpop(space: Space, command: Command) -> bool:
    return many_pop(command[1:]).most > PIECE_ELEMENTS


# -- LMOVE, RPOPLPUSH


def move(space: Space, source: bytes, destination: bytes, pop: Pop, push: Push) -> Reply:
    """Move an element from an end of one list to an end of another, or of the same one."""
    if space.typed(source, Items) is None:
        return None
    space.typed(destination, Items)  # a value of another type there is an error before anything changes
    items = space.own(source, Items)
    element = pop(items)
    assert element is not None
    if source == destination:
        push(items, element)
        space.keep(source, items)
        return element
    space.keep_rest(source, items)
    items = space.own(destination, Items)
    push(items, element)
    space.keep(destination, items)
    return element


def check_ends(command: Command) -> None:
    """Raise CommandError where the third and fourth argument are not LEFT or RIGHT."""
    if not ENDS.keys() >= {command[3].upper(), command[4].upper()}:
        raise CommandError(SYNTAX_ERROR)


def lmove(space: Space, command: Command) -> Reply:
    """LMOVE; what follows its five words is ignored."""
    (pop, _), (_, push) = ENDS[command[3].upper()], ENDS[command[4].upper()]
    return move(space, command[1], command[2], pop, push)


def rpoplpush(space: Space, command: Command) -> Reply:
    """RPOPLPUSH; what follows its three words is ignored."""
    return move(space, command[1], command[2], Items.pop_right, Items.push_left)


def _pops() -> list[CommandSpec]:
    return [
        CommandSpec(
            name, pop, -2, Keys.FIRST, True, usage=f"{name.decode()} key [count]", categories=("list",),
            summary=f"remove and return the {place} element, or with `count` a list of elements",
            check=_check_pop, plain=2, in_pieces=pop.in_pieces, is_large=_pops_many,
            complexity="O(N) with N elements of the reply",
        )
        for name, pop, place in (
            (b"LPOP", _Pop(Items.pop_left), "first"),
            (b"RPOP", _Pop(Items.pop_right), "last"),
        )
    ]  # fmt: skip


COMMANDS = (
    *_pops(),
    CommandSpec(
        b"LMPOP", at_once(_lmpop_in_pieces), -4, Keys.NONE, True, check=_check_lmpop, find=_find_lmpop,
        in_pieces=_lmpop_in_pieces, is_large=_is_large_lmpop, flags=(), categories=("list",),
        usage="LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count]",
        summary="remove and return elements of the first key that has a list, and the name of the key",
        complexity="O(N+M) with N keys and M elements of the reply",
    ),
    CommandSpec(
        b"LMOVE", lmove, 5, Keys.TWO, True, check=check_ends, flags=("denyoom",), categories=("list",),
        usage="LMOVE source destination LEFT|RIGHT LEFT|RIGHT",
        summary="move an element from an end of a list to an end of another one, or of the same one",
    ),
    CommandSpec(
        b"RPOPLPUSH", rpoplpush, 3, Keys.TWO, True, flags=("denyoom",), categories=("list",),
        usage="RPOPLPUSH source destination", summary="as LMOVE with RIGHT and LEFT",
    ),
)  # fmt: skip
