"""How many replicas are enough (EPaxos*, section 3; docs: protocol/rules, "Words")."""

from __future__ import annotations

from typing import NamedTuple

from epaxos.protocol.values.epoch import Epoch

__all__ = ["Quorums"]


class Quorums(NamedTuple):
    """The sizes that follow from the number of members, n; each counts the counting replica itself.

    f crashes are survived.  Up to e replicas may be down and the fast path still works.
    `named`: the command leader names its fast quorum beforehand, and whatever those answer is good
    (docs: protocol/fast-path); otherwise any n-e equal answers make the fast path.
    """

    epoch: Epoch
    n: int
    f: int
    e: int
    named: bool

    @classmethod
    def of(cls, epoch: Epoch, named: bool | None = None) -> Quorums:
        """The quorums of an epoch; by default `named` wherever it is sound.

        Raises ValueError when the epoch has no members, and when `named` is asked for and f > 1:
        a recovery may then miss both the command leader and a member that it named.
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
        """Any two slow quorums intersect: enough to accept a value, and to recover one."""
        return self.n - self.f

    @property
    def read(self) -> int:
        """Enough to meet every slow quorum: whatever is committed is known to one of them."""
        return self.n - self.slow + 1

    @property
    def fast(self) -> int:
        """Enough answers to commit after one round trip: equal ones, or those of the named."""
        return self.slow if self.named else self.n - self.e
