"""What SORT and SORT_RO are asked for, and which keys that names.

A pattern with `*` stands for keys that nobody knows before the command runs.  Then the command is a barrier.
"""

from __future__ import annotations

from typing import NamedTuple

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import Touched
from epaxos.statemachines.redis.values import Collection, String

__all__ = ["Pattern", "SortOptions", "check_sort", "find_sort", "sort_options"]

_ELEMENT = b"#"
_WORDS = {b"LIMIT": 2, b"BY": 1, b"GET": 1, b"STORE": 1}
"""By the name of an option: how many words follow it."""


class Pattern(NamedTuple):
    """`prefix*suffix->field`: the string, or the field of a hash, whose key has the element for `*`.

    `#` is the element itself.  Any other text without `*` is no key.
    """

    text: bytes
    prefix: bytes
    suffix: bytes
    field: bytes

    @property
    def reads(self) -> bool:
        """Whether it stands for keys."""
        return b"*" in self.text

    def value(self, space: Space, element: bytes) -> String | None:
        """What it stands for; None where there is no such key or field.  May raise Due."""
        if not self.reads:
            return element if self.text == _ELEMENT else None
        value = space.get(b"%b%b%b" % (self.prefix, element, self.suffix))
        if not self.field:
            return None if isinstance(value, Collection) else value
        return value.get(self.field) if isinstance(value, Fields) else None


def _pattern(text: bytes) -> Pattern:
    prefix, _, rest = text.partition(b"*")
    suffix, _, field = rest.partition(b"->")
    return Pattern(text, prefix, suffix if field else rest, field)


class SortOptions(NamedTuple):
    """`is_sorted`: whether the order is another one than that of the collection.  `by`: what is compared in
    place of the elements.  `start`, `number`: the places that are wanted; None for all from `start` on.
    `store`: the key that gets the result."""

    is_sorted: bool
    by: Pattern | None
    gets: tuple[Pattern, ...]
    start: int
    number: int | None
    descends: bool
    is_text: bool
    store: bytes | None


def sort_options(command: Command) -> SortOptions:
    """Raises CommandError."""
    is_sorted = True
    by: Pattern | None = None
    gets: list[Pattern] = []
    start, count = 0, -1
    descends = is_text = False
    store: bytes | None = None
    place = 2
    while place < len(command):
        option = command[place].upper()
        values = command[place + 1 : place + 1 + _WORDS.get(option, 0)]
        if option in (b"ASC", b"DESC"):
            descends = option == b"DESC"
        elif option == b"ALPHA":
            is_text = True
        elif option not in _WORDS or len(values) < _WORDS[option]:
            raise CommandError(SYNTAX_ERROR)
        elif option == b"LIMIT":
            start, count = map(_integer, values)
        elif option == b"BY":
            by = _pattern(values[0])
            is_sorted = is_sorted and by.reads
        elif option == b"GET":
            gets.append(_pattern(values[0]))
        elif command[0].upper() == b"SORT":
            store = values[0]
        else:
            raise CommandError(SYNTAX_ERROR)
        place += 1 + len(values)
    return SortOptions(
        is_sorted, by, tuple(gets), max(0, start), None if count < 0 else count, descends, is_text, store
    )


def _integer(text: bytes) -> int:
    number = integer_of(text)
    if number is None:
        raise CommandError(NOT_AN_INTEGER)
    return number


def check_sort(command: Command) -> None:
    """Raise CommandError where the options are wrong."""
    sort_options(command)


def find_sort(command: Command) -> Touched:
    """The key and that of STORE; it writes both then, so that one that is due is removed where it runs."""
    options = sort_options(command)
    patterns = [*options.gets, *([options.by] if options.by is not None and options.is_sorted else [])]
    is_barrier = any(pattern.reads for pattern in patterns)
    if options.store is None:
        return Touched((), command[1:2], is_barrier)
    return Touched((command[1], options.store), (), is_barrier)
