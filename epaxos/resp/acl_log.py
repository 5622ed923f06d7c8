"""What users were not allowed to do at this replica: `ACL LOG`."""

from __future__ import annotations

import time
from collections.abc import Callable

from zope.interface import implementer

from epaxos.interfaces import Reply
from epaxos.resp.commands.spec import map_of
from epaxos.resp.interfaces import IAclLog, IClient

__all__ = ["AclLog"]

ENTRIES_MAX = 128
"""As Redis' acllog-max-len.  The oldest goes."""
GROUPED_S = 60.0
"""The same again within this time only counts."""
NAME_BYTES_MAX = 256
"""A longer object or user name is cut off there."""


class _Entry:
    def __init__(self, number: int, what: tuple[str, str, bytes, bytes], about: bytes, now_s: float) -> None:
        self.number = number
        self.what = what
        self.about = about
        self.count = 1
        self.created_ms = self.updated_ms = int(time.time() * 1000)
        self.heard_s = now_s


@implementer(IAclLog)
class AclLog:
    """The newest entries.  `seconds`: a clock that never goes back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._entries: list[_Entry] = []
        self._number = 0

    def add(self, client: IClient, reason: str, context: str, what: bytes, user: bytes) -> None:
        """See IAclLog."""
        found = (reason, context, what[:NAME_BYTES_MAX], user[:NAME_BYTES_MAX])
        now_s = self._seconds()
        about = client.describe().rstrip("\n").encode()
        for entry in self._entries:
            if entry.what == found and now_s - entry.heard_s <= GROUPED_S:
                entry.count += 1
                entry.heard_s, entry.about = now_s, about
                entry.updated_ms = int(time.time() * 1000)
                self._entries.remove(entry)
                self._entries.insert(0, entry)
                return
        self._entries.insert(0, _Entry(self._number, found, about, now_s))
        self._number += 1
        del self._entries[ENTRIES_MAX:]

    def clear(self) -> None:
        """See IAclLog."""
        self._entries.clear()

    def show(self, count: int) -> list[Reply]:
        """See IAclLog."""
        now_ms = int(time.time() * 1000)
        return [
            map_of(
                {
                    b"count": entry.count,
                    b"reason": entry.what[0].encode(),
                    b"context": entry.what[1].encode(),
                    b"object": entry.what[2],
                    b"username": entry.what[3],
                    b"age-seconds": max(0, now_ms - entry.created_ms) / 1000,
                    b"client-info": entry.about,
                    b"entry-id": entry.number,
                    b"timestamp-created": entry.created_ms,
                    b"timestamp-last-updated": entry.updated_ms,
                }
            )
            for entry in self._entries[:count]
        ]
