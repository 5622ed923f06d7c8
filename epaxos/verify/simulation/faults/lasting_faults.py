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
        self._losses: list[Fault] = []
        for host in span.cluster.hosts:
            host.disk.on_opened = partial(self._on_opened, host)

    def handlers(self) -> dict[FaultKind, Handler]:
        """The handler of each kind of fault."""
        return {
            FaultKind.HUNG: self._hang,
            FaultKind.DEAF: partial(self._cut_off, deaf=True),
            FaultKind.MUTE: partial(self._cut_off, deaf=False),
            FaultKind.DEAD: self._die,
            FaultKind.LOST: self._lose,
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
            host.traps.set(fault.aim, fault.amount, once, after=True)
            self._span.time.after(fault.lasts, once)

    def _hang(self, fault: Fault) -> None:
        self._at_aim(fault, lambda host: host.disk.hang())

    def _die(self, fault: Fault) -> None:
        def die(host: Host) -> None:
            host.dead = True
            host.crash(power=fault.amount % 2 == 0)

        self._at_aim(fault, die)

    def _lose(self, fault: Fault) -> None:
        """While the fault lasts, wait until one member alone has opened the newest epoch, and lose its disk.
        With an aim: lose that of the first one after the second one has next done this."""
        if fault.aim:
            loser, other = self._span.hosts(fault)
            other.traps.set(fault.aim, 1, partial(self._lose_later, fault, loser), after=True)
            return
        self._losses.append(fault)
        self._span.time.after(fault.lasts, partial(self._lose_at_last, fault))

    def _on_opened(self, host: Host) -> None:
        """A new epoch is durable at `host`."""
        epochs = [other.disk.contents.epoch for other in self._span.cluster.hosts]
        if self._losses and epochs.count(max(epochs)) == 1 and epochs[host.id] == max(epochs):
            fault = self._losses.pop()
            self._lose_later(fault, host)

    def _lose_at_last(self, fault: Fault) -> None:
        if fault in self._losses:
            self._losses.remove(fault)
            for host in self._span.hosts(fault):
                self._lose_disk(fault, host)

    def _lose_later(self, fault: Fault, host: Host) -> None:
        self._span.time.after(fault.amount, partial(self._lose_disk, fault, host))

    def _lose_disk(self, fault: Fault, host: Host) -> None:
        if not self._span.over and host.id not in self.ill:
            self._span.cluster.trace.note(f"R{host.id}", f"its disk is lost, by fault {fault.name}")
            self.ill.add(host.id)
            host.dead = True
            host.crash(power=True)

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
