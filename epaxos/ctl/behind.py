"""What a member says of the state that it takes from another one: for people, and as a share of the whole."""

from __future__ import annotations

from typing import Any, NamedTuple

from epaxos.ctl.output import size
from epaxos.protocol.values.ids import NUMBER_LIMIT

__all__ = ["Behind", "behind_in"]


class Behind(NamedTuple):
    """The member takes the state at an epoch that it has missed; until it has it, it does not serve.

    `source`: the member that gives it, None while none has answered; `bytes`: the size of the whole as far as
    it is known, of which `taken_bytes` are there.
    """

    epoch: int
    source: int | None
    taken_bytes: int
    bytes: int

    @property
    def share(self) -> float:
        """What is there of the whole, from 0 to 1."""
        return min(1.0, self.taken_bytes / self.bytes) if self.bytes else 0.0

    def __str__(self) -> str:
        if self.source is None:
            return f"waits for a member that gives it the state of epoch {self.epoch}"
        text = f"takes the state of member {self.source}"
        if not self.bytes:
            return text
        return f"{text}: {int(100 * self.share)} %, {size(self.taken_bytes)} of {size(self.bytes)}"


def behind_in(status: dict[str, Any]) -> Behind | None:
    """What the status of a member says of it; None when it takes no state, or its version does not say.

    What cannot be understood counts as not known.
    """
    epoch = status.get("epoch")
    behind = epoch.get("behind") if isinstance(epoch, dict) else None
    if not isinstance(behind, dict):
        return None
    number, taken_bytes, whole_bytes = (
        _number(behind.get(name)) or 0 for name in ("epoch", "taken_bytes", "bytes")
    )
    return Behind(number, _number(behind.get("source")), taken_bytes, whole_bytes)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < NUMBER_LIMIT else None
