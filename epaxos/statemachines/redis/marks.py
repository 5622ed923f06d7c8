"""The marks of WATCH: which connection wants to know whether which keys change.

A mark is a part of the state.  So every replica decides alike, at the place of the EXEC in the order, whether
the keys have changed since the WATCH, whoever has changed them.
"""

from __future__ import annotations

from collections.abc import Iterable

from epaxos.interfaces.composites import Owner, Place

__all__ = ["Marks"]


class Marks:
    """The marks of all connections: a part of the state (`parts.py`).

    `journal`: the marks that became dirty since a savepoint, in turn; None while there is none.
    """

    def __init__(self) -> None:
        self.journal: list[Owner] | None = None
        self._clear()

    def _clear(self) -> None:
        self._watched: dict[Owner, dict[Place, None]] = {}
        self._by_place: dict[Place, dict[Owner, None]] = {}
        self._dirty: dict[Owner, None] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no change of any key matters to anybody."""
        return not self._by_place

    def watch(self, owner: Owner, places: Iterable[Place]) -> None:
        """From now on a change of one of these keys makes the mark dirty."""
        watched = self._watched.setdefault(owner, {})
        for place in places:
            watched[place] = None
            if owner not in self._dirty:
                self._by_place.setdefault(place, {})[owner] = None

    def places(self) -> list[Place]:
        """The keys whose change matters to anybody."""
        return list(self._by_place)

    def on_write(self, database: int, key: bytes) -> None:
        """This key changes."""
        for owner in list(self._by_place.get((database, key), ())):
            self._dirty[owner] = None
            self._forget_places(owner)
            if self.journal is not None:
                self.journal.append(owner)

    def back_to(self, length: int) -> None:
        """What has made marks dirty since the journal had this length is taken back."""
        assert self.journal is not None
        while len(self.journal) > length:
            owner = self.journal.pop()
            del self._dirty[owner]
            self.watch(owner, list(self._watched[owner]))

    def on_writes(self, database: int, keys: Iterable[bytes]) -> None:
        """These keys change."""
        for place in self._by_place.keys() & {(database, key) for key in keys}:
            self.on_write(*place)

    def watched(self, owner: Owner) -> Iterable[Place]:
        """The keys that the connection watches."""
        return self._watched.get(owner, ())

    def take(self, owner: Owner, places: Iterable[Place] = ()) -> bool:
        """End the mark.  Whether there was one, of at least these keys, and it was clean.

        It may be of fewer keys, when it was ended meanwhile, and made again for further keys.
        """
        self._forget_places(owner)
        is_dirty = owner in self._dirty
        self._dirty.pop(owner, None)
        watched = self._watched.pop(owner, None)
        return watched is not None and not is_dirty and watched.keys() >= set(places)

    def end_lives(self, replica: int, life: bytes) -> int:
        """End the marks that other lives of this replica have left; how many."""
        begin = life + b":"
        ended = [
            owner for owner in self._watched if owner.replica == replica and not owner.mark.startswith(begin)
        ]
        for owner in ended:
            self.take(owner)
        return len(ended)

    def _forget_places(self, owner: Owner) -> None:
        for place in self._watched.get(owner, ()):
            owners = self._by_place.get(place, {})
            owners.pop(owner, None)
            if not owners:
                self._by_place.pop(place, None)

    def entries(self) -> list[tuple[bytes, bytes]]:
        """See Part."""
        return [
            (b"%d %b" % owner, b" ".join([b"d" if owner in self._dirty else b"c", *map(_text_of, places)]))
            for owner, places in sorted(self._watched.items())
        ]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """See Part."""
        self._clear()
        for name, data in entries:
            replica, _, mark = name.partition(b" ")
            owner = Owner(int(replica), mark)
            kind, *places = data.split(b" ")
            if kind == b"d":
                self._dirty[owner] = None
            self.watch(owner, map(_place_of, places))


def _text_of(place: Place) -> bytes:
    return b"%d/%b" % (place[0], place[1].hex().encode())


def _place_of(text: bytes) -> Place:
    number, _, key = text.partition(b"/")
    return int(number), bytes.fromhex(key.decode())
