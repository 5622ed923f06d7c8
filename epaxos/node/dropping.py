"""Deletes instances of epochs that nobody needs, in short steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice, repeat

from epaxos.interfaces import IStore, WriteSet
from epaxos.protocol.values.ids import Deps, InstanceId

__all__ = ["DROPPED_AT_ONCE", "DROP_EVERY_S", "Dropping"]

DROPPED_AT_ONCE = 500
"""Instances of an epoch that has ended that are deleted in one step.  A step takes about 1 ms."""
DROP_EVERY_S = 0.02
"""Seconds between two such steps."""


class Dropping:
    """What is left to delete in `store`, the oldest epoch first.

    Where it is known which slots of an epoch may be held, nobody looks for them in the store, which takes a
    while: before the first one lie the traces of all that were forgotten.
    """

    def __init__(self, store: IStore) -> None:
        self._store = store
        self._left: deque[tuple[int, Iterator[tuple[int, int]] | None]] = deque()
        self._upto: InstanceId | None = None  # of the first epoch this is deleted, if it has to be looked for
        self._is_looking = False

    @property
    def is_busy(self) -> bool:
        """Whether anything is left to delete."""
        return bool(self._left)

    def add(self, epochs: Iterable[int]) -> None:
        """Nobody needs these epochs any more, which are later than those that were added before."""
        if self._store.persistent:
            self._left.extend((epoch, None) for epoch in epochs)

    def add_slots(self, epoch: int, above: Deps, upto: Deps) -> None:
        """As `add`; of `epoch` nothing is held but slots above `above` and up to `upto`."""
        if self._store.persistent:
            rows = enumerate(zip(above, upto))
            slots = chain(*[zip(repeat(row), range(low + 1, high + 1)) for row, (low, high) in rows])
            self._left.append((epoch, slots))

    def step(self) -> None:
        """Delete a few instances, if there are any."""
        if not self._left or self._is_looking:
            return
        epoch, slots = self._left[0]
        if slots is None:
            self._is_looking = True
            self._store.held(epoch, self._upto, DROPPED_AT_ONCE, self._drop)
        else:
            self._drop([InstanceId(row, slot) for row, slot in islice(slots, DROPPED_AT_ONCE)])

    def _drop(self, ids: Sequence[InstanceId]) -> None:
        """Delete the next instances of the first epoch; fewer than DROPPED_AT_ONCE are the last ones."""
        self._is_looking = False
        epoch, _ = self._left[0]
        is_last = len(ids) < DROPPED_AT_ONCE
        if ids or is_last:
            done = partial(self._store.give_back, epoch) if is_last else _nothing
            self._store.write(WriteSet(epoch=epoch, dropped=list(ids)), done)
        if is_last:
            self._left.popleft()
            self._upto = None
        else:
            self._upto = ids[-1]


def _nothing() -> None:
    """Do nothing, because nobody waits for it."""
