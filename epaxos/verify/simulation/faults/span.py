"""The time in which a fault goes on: it ends by itself, or when all faults end."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.verify.simulation.cluster import Cluster, Host
from epaxos.verify.simulation.faults.fault import Fault

__all__ = ["Span"]


class Span:
    """What all faults of a run share: the cluster, and whether all faults are `over`."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.time = cluster.time
        self.over = False

    def until(self, fault: Fault, end: Callable[[], None]) -> None:
        """Call `end` when the fault ends, unless all faults are over by then."""

        def call() -> None:
            if not self.over:
                end()

        self.time.after(fault.lasts, call)

    def hosts(self, fault: Fault) -> list[Host]:
        """The hosts of the replicas that the fault names."""
        return [self.cluster.hosts[replica] for replica in fault.where]

    def others(self, replica: int) -> list[int]:
        """All replicas but this one."""
        return [other for other in range(self.cluster.n) if other != replica]
