"""The removal of keys for want of memory: `\\0EVICT 0|1 database key …`; with 1, of those with a deadline.

Any replica may propose it, and chooses the keys by what it knows alone.  What the command does depends on the
state: it removes the keys that are still there, and, with 1, that still have a deadline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from epaxos.interfaces import Command, Reply
from epaxos.statemachines.redis.names import name_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched

__all__ = ["COMMANDS", "EVICT", "eviction_of"]

EVICT = b"\0EVICT"


def eviction_of(places: Iterable[tuple[int, bytes]], only_volatile: bool) -> Command:
    """The command that removes these keys: of each its database, and the key."""
    command = [EVICT, b"%d" % only_volatile]
    for database, key in places:
        command += (b"%d" % database, key)
    return command


def _places(command: Command) -> Iterator[tuple[int, bytes]]:
    return ((int(number), key) for number, key in zip(command[2::2], command[3::2]))


def _evict(space: Space, command: Command) -> int:
    evicted = 0
    for number, key in _places(command):
        inner = space.in_database(number)
        is_chosen = command[1] == b"0" or type(inner.data.get(key)) is tuple
        if is_chosen and inner.pop(key) is not None:
            evicted += 1
            space.everything.on_evicted(number, key)
    return evicted


def _at_once(space: Space, command: Command) -> Reply:
    return _evict(space, command)


def _in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    evicted = 0
    words = 2 * max(1, size // 2)
    for start in range(2, len(command), words):
        if start > 2:
            yield
        evicted += _evict(space, [*command[:2], *command[start : start + words]])
    return evicted


def _find(command: Command) -> Touched:
    return Touched([name_of(*place) for place in _places(command)])


COMMANDS = (CommandSpec(EVICT, _at_once, -4, Keys.NONE, True, find=_find, in_pieces=_in_pieces),)
