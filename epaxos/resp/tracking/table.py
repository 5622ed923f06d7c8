"""Which clients may have copies of which keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, KeysView
from itertools import islice
from typing import Union

__all__ = ["Table"]

FREED_TOGETHER = 1000

_Ids = Union["tuple[int]", "dict[int, None]"]
"""The numbers of clients: most keys have one, and a tuple of it is shared by all its keys."""


class Table:
    """The numbers of the clients by names of keys (`IExecuted.name_of`), the oldest names first.

    A client that has gone stays until its keys are taken, as with Redis: numbers are not used again.
    """

    def __init__(self) -> None:
        self._ids: dict[bytes, _Ids] = {}
        self.places = 0
        """The pairs of a name and a client."""

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def names(self) -> KeysView[bytes]:
        """The names, as a view of what is here now."""
        return self._ids.keys()

    def add(self, client: int, names: Iterable[bytes]) -> None:
        """The client may have copies of these."""
        by_name, own = self._ids, (client,)
        before = len(by_name)
        for name in names:
            ids = by_name.setdefault(name, own)
            if ids is not own and client not in ids:
                if isinstance(ids, tuple):
                    ids = by_name[name] = dict.fromkeys(ids)
                ids[client] = None
                self.places += 1
        self.places += len(by_name) - before

    def take(self, name: bytes) -> Collection[int]:
        """Who may have a copy; from now on nobody."""
        ids = self._ids.pop(name, ())
        self.places -= len(ids)
        return ids

    def oldest(self, count: int) -> list[bytes]:
        """The names that were added first."""
        return list(islice(self._ids, count))

    def clear(self) -> Iterator[None]:
        """Nobody has a copy any more, at once.  The steps that are returned free the memory."""
        old, self._ids, self.places = self._ids, {}, 0
        return _free(old)


def _free(old: dict[bytes, _Ids]) -> Iterator[None]:
    while old:
        for _ in range(min(FREED_TOGETHER, len(old))):
            old.popitem()
        yield
