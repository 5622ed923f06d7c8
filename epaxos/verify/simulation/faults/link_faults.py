"""Faults of the links between replicas."""

from __future__ import annotations

from functools import partial

from epaxos.verify.simulation.faults.fault import Fault, FaultKind, Handler
from epaxos.verify.simulation.faults.span import Span
from epaxos.verify.simulation.network import Changer, Filter

__all__ = ["LinkFaults"]

_FLAPS = 8
"""How often a flapping link is cut."""


class LinkFaults:
    """Faults that begin at once, on the links that they name."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def handlers(self) -> dict[FaultKind, Handler]:
        """The handler of each kind of fault."""
        return {
            FaultKind.PARTITION: self._partition,
            FaultKind.ONE_WAY: self._one_way,
            FaultKind.FLAPPING: self._flapping,
            FaultKind.RECONNECT: self._reconnect,
            FaultKind.SLOW_LINK: self.slow_link,
            FaultKind.LOSS: self._loss,
            FaultKind.CHANGE: self._change,
            FaultKind.LOSE: partial(self._filter, prompt=False, late=False),
            FaultKind.HOLD: partial(self._filter, prompt=False, late=True),
            FaultKind.ECHO: partial(self._filter, prompt=True, late=True),
        }

    def cut(self, fault: Fault, links: list[tuple[int, int]]) -> None:
        """Cut these links, each a sender and a receiver, until the fault ends."""
        network = self._span.cluster.network
        for sender, receiver in links:
            network.cut(sender, receiver)
            self._span.until(fault, partial(network.mend, sender, receiver))

    def slow_link(self, fault: Fault) -> None:
        """Slow down the link that the fault names until the fault ends."""
        network = self._span.cluster.network
        sender, receiver = fault.where
        network.slow_down(sender, receiver, 1 + fault.amount)
        self._span.until(fault, partial(network.slow_down, sender, receiver, 1))

    def filter_link(self, fault: Fault, sender: int, receiver: int, filter: Filter) -> None:
        """Put the filter on a link until the fault ends."""
        network = self._span.cluster.network
        network.add_filter(sender, receiver, filter)
        self._span.until(fault, partial(network.remove_filter, sender, receiver, filter))

    def _partition(self, fault: Fault) -> None:
        inside = fault.where
        outside = [replica for replica in range(self._span.cluster.n) if replica not in inside]
        self.cut(fault, [link for a in inside for b in outside for link in ((a, b), (b, a))])

    def _one_way(self, fault: Fault) -> None:
        self.cut(fault, [(fault.where[0], fault.where[1])])

    def _flapping(self, fault: Fault) -> None:
        short = fault._replace(lasts=max(1, fault.lasts // (2 * _FLAPS)))
        for flap in range(_FLAPS):
            self._span.time.after(flap * fault.lasts // _FLAPS, partial(self._flap, short))

    def _flap(self, fault: Fault) -> None:
        if not self._span.over:
            a, b = fault.where
            self.cut(fault, [(a, b), (b, a)])

    def _reconnect(self, fault: Fault) -> None:
        """Break the connections `amount` times, evenly over `lasts`."""
        for count in range(fault.amount):
            self._span.time.after(
                count * fault.lasts // fault.amount, partial(self._break_connections, fault)
            )

    def _break_connections(self, fault: Fault) -> None:
        if not self._span.over:
            self._span.cluster.network.break_connections(*fault.where)

    def _filter(self, fault: Fault, prompt: bool, late: bool) -> None:
        sender, *named = fault.where
        for receiver in named or self._span.others(sender):
            self.filter_link(fault, sender, receiver, Filter(fault.aim.split(), prompt, late))

    def _change(self, fault: Fault) -> None:
        sender = fault.where[0]
        for receiver in self._span.others(sender):
            self.filter_link(fault, sender, receiver, Changer())

    def _loss(self, fault: Fault) -> None:
        network = self._span.cluster.network
        network.extra_loss = 4 * fault.amount

        def end() -> None:
            network.extra_loss = 0

        self._span.until(fault, end)
