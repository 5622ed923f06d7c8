"""Faults that begin when a replica sends a message of a chosen kind."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.verify.simulation.cluster import Host
from epaxos.verify.simulation.faults.fault import Fault, FaultKind, Handler
from epaxos.verify.simulation.faults.link_faults import LinkFaults
from epaxos.verify.simulation.faults.span import Span
from epaxos.verify.simulation.network import Filter

__all__ = ["SendFaults"]

_LONGER = 30
"""A replica that lost power may be cut off from some others for this many times the time it was down."""


class SendFaults:
    """Faults that begin before or just after the next sends of the kind of message that they aim at."""

    def __init__(self, span: Span, links: LinkFaults) -> None:
        self._span = span
        self._links = links

    def handlers(self) -> dict[FaultKind, Handler]:
        """The handler of each kind of fault."""
        return {
            FaultKind.KILL_AT_SEND: self._crash_at_send,
            FaultKind.CUT_AT_SEND: self._cut_at_send,
            FaultKind.LATE_AT_SEND: self._late_at_send,
            FaultKind.POWER_AFTER_SEND: self._power_after_send,
        }

    def _at_send(self, fault: Fault, spring: Callable[[Host, list[int]], None]) -> None:
        """Call `spring` with the sender and the receivers concerned: all others when the fault names none."""
        sender, *named = fault.where
        others = named or self._span.others(sender)
        host = self._span.cluster.hosts[sender]
        count = 1 if fault.kind is FaultKind.LATE_AT_SEND else fault.amount
        host.traps.set(fault.aim, count, lambda: spring(host, others))

    def _crash_at_send(self, fault: Fault) -> None:
        def spring(host: Host, others: list[int]) -> None:
            host.crash(power=fault.amount % 2 == 0)
            self._span.until(fault, host.start)

        self._at_send(fault, spring)

    def _cut_at_send(self, fault: Fault) -> None:
        def spring(host: Host, others: list[int]) -> None:
            self._links.cut(
                fault, [link for other in others for link in ((host.id, other), (other, host.id))]
            )

        self._at_send(fault, spring)

    def _late_at_send(self, fault: Fault) -> None:
        def spring(host: Host, others: list[int]) -> None:
            for other in others:
                self._links.slow_link(fault._replace(where=(host.id, other)))

        self._at_send(fault, spring)

    def _power_after_send(self, fault: Fault) -> None:
        """The host is up again after `lasts`.  It stays cut off from the replicas that the fault names."""
        sender, *named = fault.where
        host = self._span.cluster.hosts[sender]

        def spring() -> None:
            host.crash(power=True)
            self._span.until(fault, host.start)
            longer = fault._replace(lasts=_LONGER * fault.lasts)
            for other in named:
                self._links.filter_link(longer, sender, other, Filter())
                self._links.filter_link(longer, other, sender, Filter())

        host.traps.set(fault.aim, fault.amount, spring, after=True)
