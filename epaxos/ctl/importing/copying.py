"""Copies keys from the source to a replica, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

import hiredis

from epaxos.ctl.connection import Connection
from epaxos.ctl.errors import one_line
from epaxos.ctl.importing.journal import Journal
from epaxos.ctl.importing.source import Dumped, Source
from epaxos.ctl.output import Say

__all__ = ["Existing", "ImportRefused", "Importing"]

WRITE_BYTES = 1_000_000
"""About the bytes of values that are sent to the replica at a time."""


class Existing(Enum):
    """What becomes of a key that exists already, and that this import has not written."""

    STOP = "stop"
    SKIP = "skip"
    REPLACE = "replace"


class ImportRefused(Exception):
    """The import cannot go on.  The text is one line."""


class Importing:
    """One import; `written`, `skipped`, `seen`: the keys so far, in this run of the command."""

    def __init__(
        self, source: Source, replica: Connection, journal: Journal, existing: Existing, say: Say
    ) -> None:
        self._source = source
        self._replica = replica
        self._journal = journal
        self._existing = existing
        self._say = say
        self.written = self.skipped = self.seen = 0

    def run(self) -> None:
        """Copy everything.  Raises ImportRefused, AskError, OSError."""
        total = self._source.count()
        cursor = self._journal.cursor
        while True:
            keys, behind = self._source.page(cursor)
            wanted = self._choose(keys)
            if wanted:
                self._journal.begin(cursor, wanted)
                self._copy(wanted)
            self.seen += len(keys)
            self._say(f"importing: {self.seen} of about {total} keys", min(1.0, self.seen / max(1, total)))
            cursor = behind
            if cursor == b"0":
                return

    def _choose(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those that are to be written.  Nothing of the page has been written yet."""
        if self._existing is Existing.REPLACE:
            return list(keys)
        others = [key for key in keys if not self._journal.is_own(key)]
        replies = self._replica.ask_each([("EXISTS", key) for key in others])
        there = {key for key, reply in zip(others, map(_checked, replies)) if reply}
        if there and self._existing is Existing.STOP:
            raise ImportRefused(_exists(min(there)))
        self.skipped += len(there)
        return [key for key in keys if key not in there]

    def _copy(self, keys: Sequence[bytes]) -> None:
        waiting: list[Dumped] = []
        size_bytes = 0
        for dumped in self._source.dump(keys):
            waiting.append(dumped)
            size_bytes += len(dumped.payload)
            if size_bytes >= WRITE_BYTES:
                self._write(waiting)
                waiting, size_bytes = [], 0
        self._write(waiting)

    def _write(self, some: Iterable[Dumped]) -> None:
        """All keys are this import's own, or were not there a moment ago."""
        some = list(some)
        commands = [("RESTORE", dumped.key, str(dumped.ttl_ms), dumped.payload, "REPLACE") for dumped in some]
        for dumped, reply in zip(some, self._replica.ask_each(commands)):
            if isinstance(reply, hiredis.ReplyError):
                raise ImportRefused(f"{_shown(dumped.key)} is refused: {one_line(str(reply))}")
            self.written += 1


def _checked(reply: Any) -> Any:
    if isinstance(reply, hiredis.ReplyError):
        raise ImportRefused(f"the replica refused: {one_line(str(reply))}")
    return reply


def _exists(key: bytes) -> str:
    return f"{_shown(key)} exists already: --replace takes the key of the source, --skip leaves what is there"


def _shown(key: bytes) -> str:
    return f"the key {one_line(key.decode(errors='backslashreplace'))!r}"
