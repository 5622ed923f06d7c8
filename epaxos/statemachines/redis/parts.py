"""What the state holds beside the keys of clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

__all__ = ["Part"]


class Part(Protocol):
    """Something small that is a part of the state."""

    def entries(self) -> list[tuple[bytes, bytes]]:
        """Names and values as they are now, at once: it must take less than a millisecond."""

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Hold what `entries` told, and nothing else.  Called with nothing, too.  Raises ValueError."""
