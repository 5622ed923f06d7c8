"""How many bytes the clients of a replica make it hold in memory: each of them, and all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

__all__ = ["Account", "Holdings", "Share"]


class Share:
    """What one connection holds for one reason.

    `own_bytes`: bytes that no other connection can share; `large`: long values by their identity, which
    several connections may hold at a time.
    """

    __slots__ = ("large", "own_bytes", "total_bytes")

    def __init__(self, own_bytes: int, large: Mapping[int, bytes] | None = None) -> None:
        self.own_bytes = own_bytes
        self.large = large or {}
        self.total_bytes = own_bytes + sum(map(len, self.large.values()))


class Holdings:
    """The sum of all shares.  A value that several shares name counts once, because memory has it once."""

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


class Account:
    """What one connection makes the replica hold: its shares, and bytes that change all the time.

    `relieve()` is called whenever it holds more; it may cut off any connection, this one included.
    """

    __slots__ = ("_holdings", "_relieve", "_shares", "held_bytes", "own_bytes")

    def __init__(self, holdings: Holdings, relieve: Callable[[], None]) -> None:
        self._holdings = holdings
        self._relieve = relieve
        self._shares: set[Share] = set()
        self.held_bytes = 0
        """All that it holds."""
        self.own_bytes = 0
        """The argument of the last `set_own`."""

    def hold(self, share: Share) -> None:
        """Count `share` from now on."""
        self._shares.add(share)
        self.held_bytes += share.total_bytes
        self._holdings.add(share)
        self._relieve()

    def release(self, share: Share) -> None:
        """Count `share` no more."""
        self._shares.discard(share)
        self.held_bytes -= share.total_bytes
        self._holdings.release(share)

    def set_own(self, own_bytes: int) -> None:
        """Commands that come or are under way, and encoded replies, are `own_bytes` bytes now."""
        more = own_bytes - self.own_bytes
        if more:
            self.own_bytes = own_bytes
            self.held_bytes += more
            self._holdings.total_bytes += more
            if more > 0:
                self._relieve()

    def close(self) -> None:
        """The connection holds nothing any more."""
        for share in list(self._shares):
            self.release(share)
        self.set_own(0)
