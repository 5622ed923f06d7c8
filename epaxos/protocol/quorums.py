"""How many replicas are enough (EPaxos*, section 3; protocol.md, "Words")."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Quorums"]


class Quorums(NamedTuple):
    """The sizes that follow from n; each counts the counting replica itself.

    f crashes are survived.  Up to e replicas may be down and the fast path still works.
    """

    n: int
    f: int
    e: int

    @classmethod
    def of(cls, n: int) -> Quorums:
        """The quorums of a cluster of n >= 1 replicas.

        Raises ValueError for an n that is no cluster.
        """
        if n < 1:
            raise ValueError(f"a cluster has at least one replica, not {n}")
        f = (n - 1) // 2
        return cls(n, f, min(f, (n - f + 1) // 2))

    @property
    def slow(self) -> int:
        """Any two slow quorums intersect: enough to accept a value, and to recover one."""
        return self.n - self.f

    @property
    def fast(self) -> int:
        """Enough equal answers to commit after one round trip."""
        return self.n - self.e
