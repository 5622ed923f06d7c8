"""Which epoch the members of a cluster have opened, as far as one of them knows."""

from __future__ import annotations

__all__ = ["Following"]


class Following:
    """Member `id` of `n` is in epoch `number`.  Each of the others has opened at least `opened[member]`."""

    def __init__(self, id: int, n: int) -> None:
        self.number = 0
        self.opened = [0] * n
        self.others = tuple(member for member in range(n) if member != id)
        self._id = id
        self._n = n

    @property
    def own(self) -> int:
        """The newest epoch whose beginning is durable here."""
        return self.opened[self._id]

    @property
    def is_durable(self) -> bool:
        """Whether the beginning of the present epoch is durable here."""
        return self.own >= self.number

    def on_durable(self) -> None:
        """The beginning of the present epoch is durable here."""
        self.opened[self._id] = self.number

    def on_opened(self, member: int, number: int) -> None:
        """`member` has opened epoch `number`, or a later one if it said so before."""
        self.opened[member] = max(self.opened[member], number)

    def behind(self) -> list[int]:
        """The others that are not known to have opened the present epoch."""
        return [member for member in self.others if self.opened[member] < self.number]

    @property
    def is_settled(self) -> bool:
        """Whether every member has opened the present epoch."""
        return min(self.opened) >= self.number

    @property
    def is_safe(self) -> bool:
        """Whether the state at the beginning of the present epoch is durable at so many members that no
        failure that the cluster survives can lose it: f+1 of 2f+1 (docs: protocol/epochs, T9)."""
        return sum(number >= self.number for number in self.opened) > self._n // 2
