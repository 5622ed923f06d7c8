"""The slots of a replica's own row: used in order, never twice, also not after a crash."""

from __future__ import annotations

__all__ = ["SLOTS_RESERVED", "OwnSlots"]

SLOTS_RESERVED = 256
"""So many slots are reserved ahead by default.  What a crash leaves unused of them has to be recovered."""


class OwnSlots:
    """Slots are reserved durably in blocks before they are used.

    The reservation rides with other records, so it costs no write of its own while there is work.
    """

    def __init__(self, block: int = SLOTS_RESERVED) -> None:
        self._block = block
        self.next = 1
        self._durable = 0
        self._requested = 0

    def restore(self, reserved: int) -> None:
        """After a restart: everything up to `reserved` may have been used."""
        self.next = reserved + 1
        self._durable = self._requested = reserved

    @property
    def available(self) -> bool:
        """Whether a slot may be used now."""
        return self.next <= self._durable

    def take(self) -> int:
        """The next slot, which must be available."""
        assert self.available
        slot = self.next
        self.next += 1
        return slot

    def wanted(self) -> int | None:
        """What should be reserved now (the highest slot), if anything."""
        if self._requested - self.next >= self._block // 2:
            return None
        self._requested = self.next - 1 + self._block
        return self._requested

    def on_durable(self, reserved: int) -> None:
        """The reservation up to `reserved` is on disk."""
        self._durable = max(self._durable, reserved)

    def last_used(self) -> int:
        """What a clean stop leaves reserved: nothing that was not used."""
        return self.next - 1
