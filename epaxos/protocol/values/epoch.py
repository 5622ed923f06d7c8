"""The members of a cluster and their rows, which are constant during an epoch."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Epoch"]


class Epoch(NamedTuple):
    """The period in which the list of members stays the same.

    `number` counts epochs from 0.  `members` are the numbers of the members; the place of a member in
    the list is its row.  Rows, vectors, ballots and quorums have a meaning inside one epoch alone.
    """

    number: int
    members: tuple[int, ...]

    @classmethod
    def first(cls, n: int) -> Epoch:
        """Epoch 0 of a cluster whose members are 0 to n-1.

        Raises ValueError when n < 1.
        """
        if n < 1:
            raise ValueError(f"a cluster has at least one replica, not {n}")
        return cls(0, tuple(range(n)))

    @classmethod
    def none(cls) -> Epoch:
        """That of a replica which is no member yet: it comes before every epoch, and has no members."""
        return cls(-1, ())

    @property
    def n(self) -> int:
        """The number of members, and of rows."""
        return len(self.members)

    def row_of(self, member: int) -> int:
        """The row of `member`.  Raises ValueError when it is not in the list."""
        return self.members.index(member)
