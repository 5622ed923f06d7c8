"""The patterns that clients listen by, and which of them match a channel.

Most patterns begin with plain text, and a channel is tried only on those that begin as it does.  Those that
begin alike are bounded, because a message tries all of them at once; and so are, all together, those for
which something has to be looked for in the name of a channel.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from epaxos.interfaces import CommandError
from epaxos.interfaces.glob import Glob

__all__ = ["ALIKE_BYTES_MAX", "CHANNEL_BYTES_MAX", "SEARCH_STEPS_MAX", "Patterns", "compiled_bytes"]

PREFIX_BYTES = 64
"""Patterns begin alike when these bytes are the same, or all plain bytes up to the first special one."""
ALIKE_BYTES_MAX = 32_768
"""Bytes of patterns that begin alike; each pattern counts PATTERN_OVERHEAD_BYTES more."""
PATTERN_OVERHEAD_BYTES = 32
SEARCH_STEPS_MAX = 1000
"""Steps for each byte of a channel, of all patterns together: see `Glob.search_steps`.  The longest channel
takes a few milliseconds then."""
CHANNEL_BYTES_MAX = 4096
"""A channel with a longer name matches no pattern."""
REMEMBERED_MAX = 100_000
"""What is remembered of channels: each of them, and each pattern that matches it."""

_plain = re.compile(rb"[^*?\[\\]{0,%d}" % PREFIX_BYTES)
_TOO_MANY_ALIKE = (
    "ERR too many patterns begin alike at this replica: all that begin with the same plain bytes may have"
    f" {ALIKE_BYTES_MAX} bytes together"
)
_TOO_MANY_SEARCHES = (
    f"ERR too many patterns with something between two stars at this replica: at most {SEARCH_STEPS_MAX};"
    " with a class or a question mark there, all its bytes count"
)


def _prefix_of(pattern: bytes) -> bytes:
    found = _plain.match(pattern)
    return found.group() if found else b""


def compiled_bytes(pattern: bytes) -> int:
    """Bytes of the pattern, if it has to be compiled: a millisecond for a thousand of them, about.  Most are
    plain text with a star behind it, and need not."""
    return 0 if pattern == _prefix_of(pattern) + b"*" else len(pattern)


class Patterns:
    """Patterns, each of them once."""

    def __init__(self) -> None:
        self._by_prefix: dict[bytes, dict[bytes, Glob | None]] = {}  # None: matches whatever begins so
        self._search_steps = 0
        self._bytes: Counter[bytes] = Counter()
        self._lengths: Counter[int] = Counter()
        self._remembered: dict[bytes, Sequence[bytes]] = {}
        self._remembered_count = 0

    def add(self, pattern: bytes) -> None:
        """A pattern that is not here.  Raises CommandError where there are too many that are alike."""
        prefix, size_bytes = _prefix_of(pattern), len(pattern) + PATTERN_OVERHEAD_BYTES
        if self._bytes[prefix] + size_bytes > ALIKE_BYTES_MAX:
            raise CommandError(_TOO_MANY_ALIKE)
        glob = Glob(pattern) if compiled_bytes(pattern) else None
        search_steps = 0 if glob is None else glob.search_steps
        if self._search_steps + search_steps > SEARCH_STEPS_MAX:
            raise CommandError(_TOO_MANY_SEARCHES)
        self._search_steps += search_steps
        self._bytes[prefix] += size_bytes
        self._lengths[len(prefix)] += 1
        self._by_prefix.setdefault(prefix, {})[pattern] = glob
        self._forget()

    def discard(self, pattern: bytes) -> None:
        """A pattern that is here, and from now on is not."""
        prefix = _prefix_of(pattern)
        alike = self._by_prefix[prefix]
        glob = alike.pop(pattern)
        self._search_steps -= 0 if glob is None else glob.search_steps
        self._bytes[prefix] -= len(pattern) + PATTERN_OVERHEAD_BYTES
        self._lengths[len(prefix)] -= 1
        if not alike:
            del self._by_prefix[prefix], self._bytes[prefix]
        if not self._lengths[len(prefix)]:
            del self._lengths[len(prefix)]
        self._forget()

    def is_matching(self, pattern: bytes, channel: bytes) -> bool:
        """Whether a pattern that is here matches the channel."""
        prefix = _prefix_of(pattern)
        glob = self._by_prefix[prefix][pattern]
        return channel.startswith(prefix) and (glob is None or glob.matches(channel))

    def matching(self, channel: bytes) -> Sequence[bytes]:
        """The patterns that match the channel."""
        if not self._by_prefix or len(channel) > CHANNEL_BYTES_MAX:
            return ()
        found = self._remembered.get(channel)
        if found is None:
            found = [
                pattern
                for length in self._lengths
                if length <= len(channel)
                for pattern, glob in self._by_prefix.get(channel[:length], {}).items()
                if glob is None or glob.matches(channel)
            ]
            self._remember(channel, found)
        return found

    def _remember(self, channel: bytes, found: Sequence[bytes]) -> None:
        self._remembered_count += 1 + len(found)
        if self._remembered_count > REMEMBERED_MAX:
            self._forget()
        else:
            self._remembered[channel] = found

    def _forget(self) -> None:
        self._remembered.clear()
        self._remembered_count = 0
