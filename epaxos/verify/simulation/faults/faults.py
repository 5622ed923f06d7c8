"""Lets the faults of a plan begin and end."""

from __future__ import annotations

from functools import partial

from epaxos.verify.simulation.cluster import Cluster
from epaxos.verify.simulation.faults.fault import Fault
from epaxos.verify.simulation.faults.host_faults import HostFaults
from epaxos.verify.simulation.faults.lasting_faults import LastingFaults
from epaxos.verify.simulation.faults.link_faults import LinkFaults
from epaxos.verify.simulation.faults.member_faults import MemberFaults
from epaxos.verify.simulation.faults.send_faults import SendFaults
from epaxos.verify.simulation.faults.span import Span
from epaxos.verify.simulation.faults.version_faults import VersionFaults

__all__ = ["Faults"]


class Faults:
    """The faults of one run.  `end_all` ends all of them except the lasting ones."""

    def __init__(self, cluster: Cluster) -> None:
        span = self._span = Span(cluster)
        links = LinkFaults(span)
        self._lasting = LastingFaults(span)
        self._handlers = {
            **HostFaults(span).handlers(),
            **SendFaults(span, links).handlers(),
            **links.handlers(),
            **self._lasting.handlers(),
            **MemberFaults(span).handlers(),
            **VersionFaults(span).handlers(),
        }
        for fault in cluster.plan.faults:
            cluster.time.at(fault.at, partial(self._happen, fault))

    @property
    def ill(self) -> set[int]:
        """The replicas with a lasting fault."""
        return self._lasting.ill

    def _happen(self, fault: Fault) -> None:
        if not self._span.over:
            self._span.cluster.trace.note("fault", str(fault))
            self._handlers[fault.kind](fault)

    def end_all(self) -> None:
        """End all faults except the lasting ones, and start every replica that is not dead."""
        self._span.over = True
        cluster = self._span.cluster
        cluster.trace.note("fault", "all faults end")
        cluster.network.calm_down()
        for sender in range(cluster.n):
            for receiver in range(cluster.n):
                cluster.network.slow_down(sender, receiver, 1)
                while cluster.network.is_cut(sender, receiver):
                    cluster.network.mend(sender, receiver)
        for sender, receiver in self._lasting.cut_for_good:
            cluster.network.cut(sender, receiver)
        for host in cluster.hosts:
            host.disk.slowness = 1
            host.disarm()
            if host.disk.full:
                host.crash(power=False)
                host.disk.full = False
            host.set_cost(cluster.plan.cost_us)
            if host.clock is not None:
                host.clock.change(rate=100)
            host.start()
