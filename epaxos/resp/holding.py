"""What the clients of a replica make it hold in memory, all of them together."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Holdings", "Share"]


class Share:
    """What one connection holds for one reason.

    `own_bytes`: what nobody else needs; `large`: long values by their identity, which several may hold.
    """

    __slots__ = ("large", "own_bytes", "total_bytes")

    def __init__(self, own_bytes: int, large: Mapping[int, bytes] | None = None) -> None:
        self.own_bytes = own_bytes
        self.large = large or {}
        self.total_bytes = own_bytes + sum(map(len, self.large.values()))


class Holdings:
    """The sum of all shares.  A value that several shares name counts once, because it is there once."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self._holders: dict[int, int] = {}

    def add(self, share: Share) -> None:
        """Count `share`, whose values stay alive until it is released."""
        self.total_bytes += share.own_bytes
        holders = self._holders
        for identity, value in share.large.items():
            before = holders.get(identity, 0)
            holders[identity] = before + 1
            if not before:
                self.total_bytes += len(value)

    def release(self, share: Share) -> None:
        """Count `share` no more."""
        self.total_bytes -= share.own_bytes
        holders = self._holders
        for identity, value in share.large.items():
            if holders[identity] == 1:
                del holders[identity]
                self.total_bytes -= len(value)
            else:
                holders[identity] -= 1
