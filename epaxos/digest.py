"""A digest of a state machine's state, computed in small steps so that the event loop goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import islice

from twisted.internet.defer import Deferred, succeed

from epaxos.interfaces import ITimeoutService

__all__ = ["StateDigest", "digest_of"]

ENTRIES_PER_STEP = 2000
BITS = 128


def _sum_of(entries: Iterable[tuple[bytes, bytes]]) -> int:
    total = 0
    for key, value in entries:
        hashed = blake2b(len(key).to_bytes(8, "big") + key + value, digest_size=BITS // 8)
        total += int.from_bytes(hashed.digest(), "big")
    return total


def digest_of(entries: Iterable[tuple[bytes, bytes]]) -> str:
    """The digest, a hex string: equal for equal sets of entries, in whatever order."""
    return f"{_sum_of(entries) % (1 << BITS):0{BITS // 4}x}"


class StateDigest:
    """The digest of the newest state, remembered until the state changes."""

    def __init__(self, timeouts: ITimeoutService) -> None:
        self._timeouts = timeouts
        self._version: int | None = None
        self._digest = ""

    def of(self, version: int, entries: Callable[[], Iterable[tuple[bytes, bytes]]]) -> Deferred[str]:
        """The digest of `entries()` as they are now; `version` changes whenever they may have."""
        if version == self._version:
            return succeed(self._digest)
        result: Deferred[str] = Deferred()
        rest = iter(entries())
        total = 0

        def step() -> None:
            nonlocal total
            some = list(islice(rest, ENTRIES_PER_STEP))
            total += _sum_of(some)
            if len(some) == ENTRIES_PER_STEP:
                self._timeouts.call_later(0, step)
                return
            self._version = version
            self._digest = f"{total % (1 << BITS):0{BITS // 4}x}"
            result.callback(self._digest)

        step()
        return result
