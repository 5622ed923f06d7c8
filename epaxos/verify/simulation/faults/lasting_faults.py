"""Faults that do not end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from epaxos.verify.simulation.cluster import Host
from epaxos.verify.simulation.faults.fault import Fault, FaultKind, Handler
from epaxos.verify.simulation.faults.span import Span
from epaxos.verify.simulation.network import Filter

__all__ = ["LastingFaults"]


class _Once:
    """A call that is made at most once."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class LastingFaults:
    """Begins lasting faults.  `ill`: the replicas with one; `cut_for_good`: links, as (sender, receiver)."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.ill: set[int] = set()
        self.cut_for_good: list[tuple[int, int]] = []

    def handlers(self) -> dict[FaultKind, Handler]:
        """The handler of each kind of fault."""
        return {
            FaultKind.HUNG: self._hang,
            FaultKind.DEAF: partial(self._cut_off, deaf=True),
            FaultKind.MUTE: partial(self._cut_off, deaf=False),
            FaultKind.DEAD: self._die,
        }

    def _at_aim(self, fault: Fault, spring: Callable[[Host], None]) -> None:
        """Make the call now; or, when the fault has an aim, just after the replica has next sent such a
        message, and at the latest when the time of the fault is over."""
        for host in self._span.hosts(fault):
            self.ill.add(host.id)
            if not fault.aim:
                spring(host)
                continue
            once = _Once(partial(spring, host))
            host.set_trap(fault.aim, fault.amount, once, after=True)
            self._span.time.after(fault.lasts, once)

    def _hang(self, fault: Fault) -> None:
        self._at_aim(fault, lambda host: host.disk.hang())

    def _die(self, fault: Fault) -> None:
        def die(host: Host) -> None:
            host.dead = True
            host.crash(power=fault.amount % 2 == 0)

        self._at_aim(fault, die)

    def _cut_off(self, fault: Fault, deaf: bool) -> None:
        """Cut the links.  A deaf replica whose aim is Commit loses its Commits, too: it claims decisions
        that nobody else has heard."""
        network = self._span.cluster.network

        def cut(host: Host) -> None:
            others = self._span.others(host.id)
            links = [(other, host.id) if deaf else (host.id, other) for other in others]
            self.cut_for_good += links
            for sender, receiver in links:
                network.cut(sender, receiver)

        if deaf and fault.aim == "Commit":
            for other in range(self._span.cluster.n):
                for replica in fault.where:
                    network.add_filter(replica, other, Filter(("Commit",)))
        self._at_aim(fault, cut)
