"""The sizes of quorums.

Source: EPaxos* (arXiv 2511.02743), section 3; docs: protocol/rules, "Words".
"""

from __future__ import annotations

from typing import NamedTuple

from epaxos.protocol.values.epoch import Epoch

__all__ = ["Quorums"]


class Quorums(NamedTuple):
    """The sizes that follow from the number of members, n.  Each includes the replica that counts.

    The cluster survives f crashes.  The fast path works while at most e replicas are down.
    With `named` the command leader names its fast quorum in advance, and any answers of these replicas
    make the fast path (docs: protocol/fast-path); otherwise any n-e equal answers do.
    """

    epoch: Epoch
    n: int
    f: int
    e: int
    named: bool

    @classmethod
    def of(cls, epoch: Epoch, named: bool | None = None) -> Quorums:
        """The quorums of an epoch; by default `named` where it is sound.

        Raises ValueError when the epoch has no members, and when `named` is true and f > 1, because a
        recovery may then miss both the command leader and a replica that it named.
        """
        n = epoch.n
        if n < 1:
            raise ValueError("an epoch has at least one member")
        f = (n - 1) // 2
        if named is None:
            named = f <= 1
        elif named and f > 1:
            raise ValueError(f"with {n} replicas a fast quorum cannot be named")
        return cls(epoch, n, f, min(f, (n - f + 1) // 2), named)

    @property
    def slow(self) -> int:
        """The size of a slow quorum, which can accept or recover a value: any two of them intersect."""
        return self.n - self.f

    @property
    def read(self) -> int:
        """The size of a read quorum: it intersects every slow quorum, so it knows all that is committed."""
        return self.n - self.slow + 1

    @property
    def fast(self) -> int:
        """The answers that commit after one round trip: equal ones, or those of the named replicas."""
        return self.slow if self.named else self.n - self.e
