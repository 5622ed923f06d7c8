"""The scripts that the state knows, and which of them touch keys that they do not declare."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha1

from epaxos.scripts.engine import Engine

__all__ = ["HELP", "ScriptTable", "sha_of"]

HELP = (
    "SCRIPT <subcommand> [<arg> ...]. Subcommands are:",
    "EXISTS <sha1> [<sha1> ...]",
    "    Whether the table has a script, for each SHA.",
    "FLUSH [ASYNC|SYNC]",
    "    Empty the table.",
    "KILL",
    "    Scripts are bounded instead: NOTBUSY.",
    "LOAD <script>",
    "    Take a script into the table; its SHA.",
    "HELP",
    "    Print this help.",
)
"""What SCRIPT HELP answers."""

BYTES_MAX, SCRIPTS_MAX = 16 * 1024 * 1024, 10_000
"""Of all texts together.  A full table takes no more, until SCRIPT FLUSH."""

UNDECLARED_MAX = 10_000

CACHED_BYTES_MAX = 4096
"""The SHAs of texts up to this size are remembered, for a thousand texts."""


def sha_of(text: bytes) -> bytes:
    """The SHA1 of a script, in hexadecimal digits."""
    return _short_sha(text) if len(text) <= CACHED_BYTES_MAX else _sha(text)


def _sha(text: bytes) -> bytes:
    return sha1(text).hexdigest().encode()


_short_sha = lru_cache(maxsize=1000)(_sha)


class ScriptTable:
    """A part of the state (`parts.py`), with what runs scripts.

    `is_refusing`: whether this replica refuses scripts that touch keys that they do not declare.  It decides
    what this replica proposes, and nothing of how commands run.
    """

    def __init__(self) -> None:
        self.texts: dict[bytes, bytes] = {}
        self.undeclared: dict[bytes, None] = {}
        """The SHAs of scripts that have touched keys that they did not declare."""
        self.seen_undeclared: set[bytes] = set()
        """As `undeclared`, and what this replica has seen since its start.  Not a part of the state."""
        self.is_refusing = False
        self.engine = Engine()
        self._bytes = 0
        self._is_shared = False
        """Whether a mark has `texts`, too, so that it has to be copied before it changes."""

    def has_room(self, text: bytes) -> bool:
        """Whether the table takes another text."""
        return len(self.texts) < SCRIPTS_MAX and self._bytes + len(text) <= BYTES_MAX

    def add(self, text: bytes) -> bool:
        """Take the text of a script, if there is room; whether it is there now."""
        sha = sha_of(text)
        if sha in self.texts:
            return True
        if not self.has_room(text):
            return False
        if self._is_shared:
            self.texts, self._is_shared = self.texts.copy(), False
        self.texts[sha] = text
        self._bytes += len(text)
        return True

    def clear(self) -> None:
        """Forget all texts."""
        self.texts, self._bytes, self._is_shared = {}, 0, False

    def mark(self) -> tuple[dict[bytes, bytes], int]:
        """The texts as they are now, for `put_back`."""
        self._is_shared = True
        return self.texts, self._bytes

    def put_back(self, mark: tuple[dict[bytes, bytes], int]) -> None:
        """Take the texts of then."""
        (self.texts, self._bytes), self._is_shared = mark, True

    def note_undeclared(self, sha: bytes) -> None:
        """A script has touched keys that it did not declare."""
        if len(self.undeclared) < UNDECLARED_MAX:
            self.undeclared[sha] = None

    def is_barrier(self, sha: bytes) -> bool:
        """Whether a replica should propose calls of this script as barriers."""
        return sha in self.undeclared or sha in self.seen_undeclared

    def entries(self) -> list[tuple[bytes, bytes]]:
        """See Part."""
        return [
            *((b"t" + sha, text) for sha, text in self.texts.items()),
            *((b"u" + sha, b"") for sha in self.undeclared),
        ]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """See Part."""
        self.clear()
        self.undeclared = {}
        for name, text in entries:
            if name[:1] == b"t":
                self.add(text)
            elif name[:1] == b"u":
                self.undeclared[name[1:]] = None
            else:
                raise ValueError(f"an entry {name!r} of a later version")
