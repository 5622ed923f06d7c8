"""Which epoch the members of a cluster have opened, as far as one replica knows."""

from __future__ import annotations

from epaxos.protocol.values.epoch import Epoch

__all__ = ["Following"]

OTHERS_MAX = 64
"""Replicas that are no members of the present epoch, of which it is remembered what they have opened: whoever
is let in as a guest may say which number it likes."""


class Following:
    """Replica `id`, and the members of the present epoch, which begins as `epoch`.

    It counts replicas by their numbers.  `id` need not be a member: it may have been removed.
    """

    def __init__(self, id: int, epoch: Epoch) -> None:
        self.own = 0
        """The newest epoch whose beginning is durable here."""
        self._id = id
        self._opened: dict[int, int] = {}
        self.members = epoch.members
        self.move(epoch)

    def move(self, epoch: Epoch) -> None:
        """`epoch` is the present one."""
        left = [member for member in self.members if member not in epoch.members]
        self.number = epoch.number
        self.members = epoch.members
        self.others = tuple(member for member in epoch.members if member != self._id)
        self.listeners = (*self.others, *(member for member in left if member != self._id))
        """Who has to hear that the epoch has begun here: also who was removed, and waits until it is safe."""

    @property
    def is_durable(self) -> bool:
        """Whether the beginning of the present epoch is durable here."""
        return self.own >= self.number

    @property
    def is_member(self) -> bool:
        """Whether this replica is a member of the present epoch."""
        return self._id in self.members

    def on_durable(self) -> None:
        """The beginning of the present epoch is durable here."""
        self.own = self.number

    def on_opened(self, replica: int, number: int) -> None:
        """`replica` has opened epoch `number`, or a later one if it said so before."""
        self._opened[replica] = max(self._opened.get(replica, 0), number)
        if len(self._opened) > len(self.members) + OTHERS_MAX:
            del self._opened[next(other for other in self._opened if other not in self.members)]

    def opened(self, replica: int) -> int:
        """The newest epoch that `replica` is known to have opened."""
        return self.own if replica == self._id else self._opened.get(replica, 0)

    def behind(self) -> list[int]:
        """The other members that are not known to have opened the present epoch."""
        return [member for member in self.others if self.opened(member) < self.number]

    @property
    def is_settled(self) -> bool:
        """Whether every member has opened the present epoch."""
        return all(self.opened(member) >= self.number for member in self.members)

    @property
    def is_safe(self) -> bool:
        """Whether the state at the beginning of the present epoch is durable at so many members that no
        failure that the cluster survives can lose it: f+1 of 2f+1 (docs: protocol/epochs, T9)."""
        opened = sum(self.opened(member) >= self.number for member in self.members)
        return 2 * opened > len(self.members)
