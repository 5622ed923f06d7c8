"""The slots of a replica's own row: they are used in order and never twice, even after a crash."""

from __future__ import annotations

from epaxos.protocol.values.errors import InvariantError

__all__ = ["SLOTS_RESERVED", "OwnSlots"]

SLOTS_RESERVED = 256
"""Slots per durable reservation.  After a crash the unused ones are decided as NOP by recovery."""


class OwnSlots:
    """Reserves slots durably, in blocks of `block`, before they are used.

    A reservation is written together with other records, so it costs no write of its own under load.
    """

    def __init__(self, block: int = SLOTS_RESERVED) -> None:
        self._block = block
        self.next = 1
        self._durable = 0
        self._requested = 0

    def restore(self, reserved: int) -> None:
        """Restore after a restart: every slot up to `reserved` may have been used."""
        self.next = reserved + 1
        self._durable = self._requested = reserved

    @property
    def available(self) -> bool:
        """Whether a slot may be used now."""
        return self.next <= self._durable

    def take(self) -> int:
        """Use the next slot.  Raises InvariantError when none is durably reserved."""
        if not self.available:
            raise InvariantError(f"slot {self.next} is not durably reserved")
        slot = self.next
        self.next += 1
        return slot

    def wanted(self) -> int | None:
        """Up to which slot to reserve now; None when enough slots are reserved or asked for."""
        if self._requested - self.next >= self._block // 2:
            return None
        self._requested = self.next - 1 + self._block
        return self._requested

    def on_durable(self, reserved: int) -> None:
        """The reservation of all slots up to `reserved` is durable."""
        self._durable = max(self._durable, reserved)

    def last_used(self) -> int:
        """The highest slot that was used, which a clean stop leaves as the reservation."""
        return self.next - 1
