"""What the commands that read hashes have in common with those that read sets, and sorted sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, Union

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.glob import Glob
from epaxos.interfaces.redis import NOT_AN_INTEGER, SYNTAX_ERROR, integer_of
from epaxos.statemachines.redis.named import PIECE_NAMES, Named
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import Piecewise
from epaxos.statemachines.redis.values import Collection

__all__ = ["Scan", "Whole", "check_scan", "cursor_of", "is_large", "size_of"]

N = TypeVar("N", bound=Union[Named, Ranking])

_CURSOR_DIGITS = 100


def size_of(kind: type[Collection]) -> Callable[[Space, Command], int]:
    """The handler that answers the number of names."""
    return lambda space, command: len(space.typed(command[1], kind) or ())


def is_large(kind: type[Collection]) -> Callable[[Space, Command], bool]:
    """For `is_large` of a command that looks at all names."""
    length = size_of(kind)
    return lambda space, command: length(space, command) > PIECE_NAMES


class Whole:
    """A command that answers all of a collection: of each list that `flat` tells what `part` says."""

    def __init__(
        self, kind: type[Named], part: slice = slice(None), reply: Callable[[], list[Any]] = list
    ) -> None:
        self._kind = kind
        self._part = part
        self._reply = reply

    def __call__(self, space: Space, command: Command) -> Reply:
        """See CommandSpec.handler."""
        found = self._reply()
        held = space.typed(command[1], self._kind)
        if held is not None:
            for items in held.flat():
                found += items[self._part]
        return found

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        found = self._reply()
        held = space.typed(command[1], self._kind)
        if held is not None:
            for items in held.flat():
                found += items[self._part]
                yield
        return found


class Scan(Generic[N]):
    """HSCAN, SSCAN or ZSCAN; `shown(collection, names)`: what is answered for these names."""

    def __init__(self, kind: type[N], shown: Callable[[N, list[bytes]], list[Any]]) -> None:
        self._kind = kind
        self._shown = shown

    def __call__(self, space: Space, command: Command) -> Reply:
        """See CommandSpec.handler."""
        held = space.typed(command[1], self._kind)
        if held is None:
            return [b"0", []]
        count, glob = _options_of(command[3:])
        cursor, names = held.scan(cursor_of(command[2]) or 0, count)
        if glob is not None:
            names = list(filter(glob.matches, names))
        return [b"%d" % cursor, self._shown(held, names)]


def check_scan(command: Command) -> None:
    """See CommandSpec.check."""
    if cursor_of(command[2]) is None:
        raise CommandError("ERR invalid cursor")


def cursor_of(text: bytes) -> int | None:
    """The cursor that a client sent, 64 bits, as Redis reads it; None where it reads none."""
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if text and not (digits.isdigit() and len(digits) <= _CURSOR_DIGITS):
        return None
    number = int(text or b"0")
    return number % 2**64 if abs(number) < 2**64 else None


def _options_of(options: Command) -> tuple[int, Glob | None]:
    """COUNT and MATCH.  Raises CommandError; Redis looks at them only when there is a collection, too."""
    count, glob = 10, None
    for place in range(0, len(options), 2):
        option, value = options[place].upper(), options[place + 1 : place + 2]
        if not value or option not in (b"COUNT", b"MATCH"):
            raise CommandError(SYNTAX_ERROR)
        if option == b"MATCH":
            glob = Glob(value[0])
            continue
        number = integer_of(value[0])
        if number is None:
            raise CommandError(NOT_AN_INTEGER)
        if number < 1:
            raise CommandError(SYNTAX_ERROR)
        count = number
    return count, glob
