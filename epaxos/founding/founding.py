"""The first start of a cluster: how its members come to know its uuid and the uids of all of them.

The list of the first members is made once, by the member with the lowest number, when every member is there
with a folder in which nothing was ever promised.  So the list names only uids that were there, and a folder
that was wiped later is in no list.  Each member writes the list down before it votes or serves; whoever has
written it down tells it to those that have not.  Every step may be repeated, and a crash between two steps
leaves either a member that waits to be told, or one that knows (docs: operating/run, "The first start").

Pure: it knows neither clock nor network; the uuid is drawn by a callable that it is handed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from epaxos.protocol.values.membership import VERSION, WHEN_LOST, Member, Membership

__all__ = ["Folder", "Founding", "WrongFolderError"]


class WrongFolderError(Exception):
    """The folder of this replica is not what the others know: it must stop.  The text is one line for the
    operator."""


class Folder(Enum):
    """What the folder of another member holds, as that member says."""

    UNFOUNDED = "nothing was promised, and the members are not known"
    FOUNDED = "the list of the members"
    OLDER = "data, of a cluster that has no list of members yet"
    UNKNOWN = "it runs a version that does not say"


class _Seen(NamedTuple):
    uid: int
    folder: Folder
    version: int


class Founding:
    """The first start, as the member `number` of `numbers` with the folder `uid` takes part in it.

    `founded` is the list of members in the folder; None when the folder waits for one.  `draw_uuid` draws a
    random uuid.  `found_at` says of each member where others find it.  The caller asks `to_write` and
    `to_tell` after each call of an `on_` method.
    """

    def __init__(
        self,
        number: int,
        uid: int,
        numbers: Sequence[int],
        founded: Membership | None,
        draw_uuid: Callable[[], int],
        found_at: Mapping[int, Member] | None = None,
    ) -> None:
        self.founded = founded
        self._number = number
        self._uid = uid
        self._others = sorted(set(numbers) - {number})
        self._draw_uuid = draw_uuid
        self._found_at = found_at or {}
        self._seen: dict[int, _Seen] = {}
        self._list: Membership | None = None  # which is being written
        self._asked = False

    # -- what happens

    def on_met(self, number: int, uid: int, folder: Folder, version: int) -> None:
        """There is a connection with the member `number`, which has said this of itself: the last is the
        highest version that its program can do.

        Raises WrongFolderError when its folder holds data, and the folder here waits for its first list.
        """
        if number not in self._others:
            return
        if folder is Folder.OLDER and self._waits:
            raise WrongFolderError(
                f"this folder is empty, and replica {number} has data of this cluster: the data of replica"
                f" {self._number} was lost or replaced, or it has never run"
            )
        self._seen[number] = _Seen(uid, folder, version)

    def on_lost(self, number: int) -> None:
        """There is no connection with the member `number` any more."""
        self._seen.pop(number, None)

    def on_told(self, number: int, founded: Membership) -> None:
        """The member `number` has written down that these are the first members.

        Raises WrongFolderError when the list names another folder than the one here.
        """
        if self._waits:
            known = founded.uid_of(self._number)
            if known != self._uid:
                raise WrongFolderError(other_uid(self._number, self._uid, known, number))
            if self._list is None:
                self._list = founded
        seen = self._seen.get(number)
        if seen is not None and seen.uid == founded.uid_of(number):
            self._seen[number] = seen._replace(folder=Folder.FOUNDED)

    def on_durable(self) -> None:
        """The list that `to_write` gave is durable."""
        self.founded = self._list

    # -- what is to be done

    @property
    def _waits(self) -> bool:
        return self.founded is None

    def to_write(self) -> Membership | None:
        """The list of members to write down now; None when there is none, or it was given before."""
        if self._waits and self._list is None and self._is_complete():
            self._list = self._make()
        if self._waits and self._list is not None and not self._asked:
            self._asked = True
            return self._list
        return None

    def to_tell(self) -> list[int]:
        """Who is to be told `founded`: members that are there, are in the list, and do not know it."""
        founded = self.founded
        if founded is None:
            return []
        return [
            number
            for number, seen in sorted(self._seen.items())
            if seen.folder is Folder.UNFOUNDED and founded.uid_of(number) == seen.uid
        ]

    def waits_for(self) -> str | None:
        """What this member waits for, for its log; None when it does not wait."""
        if not self._waits or self._list is not None:
            return None
        old = [number for number, seen in self._seen.items() if seen.folder is Folder.UNKNOWN]
        if old:
            return (
                f"{_named(old)}: the version that runs there knows of no first start; upgrade there,"
                " or start this replica with the same version"
            )
        missing = [number for number in self._others if number not in self._seen]
        if missing:
            return f"{_named(missing)}: at the first start every member has to be there"
        return f"{_named(self._others[:1])}, to be told who belongs to the cluster"

    def _is_complete(self) -> bool:
        """Whether this is the member that makes the list, and all others are there with empty folders."""
        if self._others and self._others[0] < self._number:
            return False
        folders = {seen.folder for seen in self._seen.values()}
        uids = {seen.uid for seen in self._seen.values()} | {self._uid}
        return (
            len(self._seen) == len(self._others)
            and folders <= {Folder.UNFOUNDED}
            and len(uids) == 1 + len(self._others)
        )

    def _make(self) -> Membership:
        """The list.  The cluster begins at the highest version that every program which is there can do."""
        uids = {number: seen.uid for number, seen in self._seen.items()} | {self._number: self._uid}
        members = tuple(
            self._found_at.get(number, Member(number, uid))._replace(uid=uid)
            for number, uid in sorted(uids.items())
        )
        version = min([VERSION, *(seen.version for seen in self._seen.values())])
        return Membership(self._draw_uuid(), 0, version, members)


def other_uid(number: int, uid: int, known: int | None, teller: int) -> str:
    """The line for the operator of a replica that others know by another uid, or not at all."""
    if known is None:
        return f"this folder (uid {uid:016x}) is in no list of members, says replica {teller}"
    return (
        f"replica {number} was here before under another uid, says replica {teller}: it had {known:016x}, and"
        f" this folder has {uid:016x}: its data was lost or replaced; {WHEN_LOST}"
    )


def _named(numbers: Sequence[int]) -> str:
    listed = ", ".join(map(str, sorted(numbers)))
    return f"replica {listed}" if len(numbers) == 1 else f"replicas {listed}"
