"""Lets the faults of a plan begin and end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from epaxos.verify.simulation.clock import SECOND
from epaxos.verify.simulation.cluster import Cluster, Host
from epaxos.verify.simulation.faults.fault import Fault, FaultKind
from epaxos.verify.simulation.network import Filter

__all__ = ["Faults"]

_FLAPS = 8
_LONGER = 30
"""A replica that lost power may be cut off from some others for this many times the time it was down."""


class _Once:
    """A call that is made at most once."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class Faults:
    """The faults of one run.  `end_all` ends all of them except the lasting ones.

    `ill`: the replicas with a lasting fault.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._time = cluster.time
        self._over = False
        self.ill: set[int] = set()
        self._cut_for_good: list[tuple[int, int]] = []
        self._kinds: dict[FaultKind, Callable[[Fault], None]] = {
            FaultKind.KILL: partial(self._crash, power=False),
            FaultKind.POWER: partial(self._crash, power=True),
            FaultKind.KILL_AT_WRITE: self._crash_at_write,
            FaultKind.KILL_AT_SEND: self._crash_at_send,
            FaultKind.CUT_AT_SEND: self._cut_at_send,
            FaultKind.LATE_AT_SEND: self._late_at_send,
            FaultKind.POWER_AFTER_SEND: self._power_after_send,
            FaultKind.DISARM: self._disarm,
            FaultKind.RESTART: self._restart,
            FaultKind.DISK_FULL: self._disk_full,
            FaultKind.SLOW_DISK: self._slow_disk,
            FaultKind.PAUSE: self._pause,
            FaultKind.SLOW: self._slow,
            FaultKind.CLOCK_JUMP: self._clock_jump,
            FaultKind.CLOCK_RATE: self._clock_rate,
            FaultKind.PARTITION: self._partition,
            FaultKind.ONE_WAY: self._one_way,
            FaultKind.FLAPPING: self._flapping,
            FaultKind.RECONNECT: self._reconnect,
            FaultKind.SLOW_LINK: self._slow_link,
            FaultKind.LOSS: self._loss,
            FaultKind.LOSE: partial(self._filter, prompt=False, late=False),
            FaultKind.HOLD: partial(self._filter, prompt=False, late=True),
            FaultKind.ECHO: partial(self._filter, prompt=True, late=True),
            FaultKind.HUNG: self._hang,
            FaultKind.DEAF: partial(self._cut_off, deaf=True),
            FaultKind.MUTE: partial(self._cut_off, deaf=False),
            FaultKind.DEAD: self._die,
        }
        for fault in cluster.plan.faults:
            self._time.at(fault.at, partial(self._happen, fault))

    def _happen(self, fault: Fault) -> None:
        if not self._over:
            self._cluster.trace.note("fault", str(fault))
            self._kinds[fault.kind](fault)

    def end_all(self) -> None:
        """End all faults except the lasting ones, and start every replica that is not dead."""
        self._over = True
        cluster = self._cluster
        cluster.trace.note("fault", "all faults end")
        cluster.network.calm_down()
        for sender in range(cluster.n):
            for receiver in range(cluster.n):
                cluster.network.slow_down(sender, receiver, 1)
                while cluster.network.is_cut(sender, receiver):
                    cluster.network.mend(sender, receiver)
        for sender, receiver in self._cut_for_good:
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

    def _until(self, fault: Fault, end: Callable[[], None]) -> None:
        """Make the call when the fault ends, unless `end_all` has made it."""

        def call() -> None:
            if not self._over:
                end()

        self._time.after(fault.lasts, call)

    def _hosts(self, fault: Fault) -> list[Host]:
        return [self._cluster.hosts[replica] for replica in fault.where]

    # -- replicas

    def _crash(self, fault: Fault, power: bool) -> None:
        for host in self._hosts(fault):
            host.crash(power)
            self._until(fault, host.start)

    def _crash_at_write(self, fault: Fault) -> None:
        for host in self._hosts(fault):
            host.crash_at_write = fault.amount
            self._until(fault, host.start)

    def _at_send(self, fault: Fault, spring: Callable[[Host, list[int]], None]) -> None:
        """Call `spring` with the sender and the receivers concerned: all others when the fault names none."""
        sender, *named = fault.where
        others = named or [replica for replica in range(self._cluster.n) if replica != sender]
        host = self._cluster.hosts[sender]
        count = 1 if fault.kind is FaultKind.LATE_AT_SEND else fault.amount
        host.set_trap(fault.aim, count, lambda: spring(host, others))

    def _crash_at_send(self, fault: Fault) -> None:
        def spring(host: Host, others: list[int]) -> None:
            host.crash(power=fault.amount % 2 == 0)
            self._until(fault, host.start)

        self._at_send(fault, spring)

    def _cut_at_send(self, fault: Fault) -> None:
        def spring(host: Host, others: list[int]) -> None:
            self._cut(fault, [link for other in others for link in ((host.id, other), (other, host.id))])

        self._at_send(fault, spring)

    def _late_at_send(self, fault: Fault) -> None:
        def spring(host: Host, others: list[int]) -> None:
            for other in others:
                self._slow_link(fault._replace(where=(host.id, other)))

        self._at_send(fault, spring)

    def _power_after_send(self, fault: Fault) -> None:
        """The host is up again after `lasts`.  It stays cut off from the replicas that the fault names."""
        sender, *named = fault.where
        host = self._cluster.hosts[sender]

        def spring() -> None:
            host.crash(power=True)
            self._until(fault, host.start)
            longer = fault._replace(lasts=_LONGER * fault.lasts)
            for other in named:
                self._filter_link(longer, sender, other, Filter())
                self._filter_link(longer, other, sender, Filter())

        host.set_trap(fault.aim, fault.amount, spring, after=True)

    def _disarm(self, fault: Fault) -> None:
        for host in self._hosts(fault):
            host.disarm()

    def _restart(self, fault: Fault) -> None:
        for host in self._hosts(fault):
            host.stop()
            self._until(fault, host.start)

    def _disk_full(self, fault: Fault) -> None:
        for host in self._hosts(fault):
            host.disk.full = True

            def end(host: Host = host) -> None:
                host.crash(power=False)
                host.disk.full = False
                host.start()

            self._until(fault, end)

    def _slow_disk(self, fault: Fault) -> None:
        for host in self._hosts(fault):
            host.disk.slowness = 1 + 5 * fault.amount

            def end(host: Host = host) -> None:
                host.disk.slowness = 1

            self._until(fault, end)

    def _pause(self, fault: Fault) -> None:
        for host in self._hosts(fault):
            if host.process is not None:
                host.process.pause(fault.lasts)

    def _slow(self, fault: Fault) -> None:
        for host in self._hosts(fault):
            host.set_cost(fault.amount * 25)
            self._until(fault, partial(host.set_cost, self._cluster.plan.cost_us))

    def _clock_jump(self, fault: Fault) -> None:
        for host in self._hosts(fault):
            if host.clock is not None:
                host.clock.change(jump=fault.amount * SECOND // 4)

    def _clock_rate(self, fault: Fault) -> None:
        rate = 100 + 10 * fault.amount if fault.amount % 2 else 100 - 4 * fault.amount
        for host in self._hosts(fault):
            if host.clock is not None:
                host.clock.change(rate=rate)
                self._until(fault, partial(host.clock.change, rate=100))

    # -- lasting faults

    def _at_aim(self, fault: Fault, spring: Callable[[Host], None]) -> None:
        """Make the call now; or, when the fault has an aim, just after the replica has next sent such a
        message, and at the latest when the time of the fault is over."""
        for host in self._hosts(fault):
            self.ill.add(host.id)
            if not fault.aim:
                spring(host)
                continue
            once = _Once(partial(spring, host))
            host.set_trap(fault.aim, fault.amount, once, after=True)
            self._time.after(fault.lasts, once)

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
        network = self._cluster.network

        def cut(host: Host) -> None:
            others = [replica for replica in range(self._cluster.n) if replica != host.id]
            links = [(other, host.id) if deaf else (host.id, other) for other in others]
            self._cut_for_good += links
            for sender, receiver in links:
                network.cut(sender, receiver)

        if deaf and fault.aim == "Commit":
            for other in range(self._cluster.n):
                for replica in fault.where:
                    network.add_filter(replica, other, Filter(("Commit",)))
        self._at_aim(fault, cut)

    # -- the network

    def _cut(self, fault: Fault, links: list[tuple[int, int]]) -> None:
        network = self._cluster.network
        for sender, receiver in links:
            network.cut(sender, receiver)
            self._until(fault, partial(network.mend, sender, receiver))

    def _partition(self, fault: Fault) -> None:
        inside = fault.where
        outside = [replica for replica in range(self._cluster.n) if replica not in inside]
        self._cut(fault, [link for a in inside for b in outside for link in ((a, b), (b, a))])

    def _one_way(self, fault: Fault) -> None:
        self._cut(fault, [(fault.where[0], fault.where[1])])

    def _flapping(self, fault: Fault) -> None:
        short = fault._replace(lasts=max(1, fault.lasts // (2 * _FLAPS)))
        for flap in range(_FLAPS):
            self._time.after(flap * fault.lasts // _FLAPS, partial(self._flap, short))

    def _flap(self, fault: Fault) -> None:
        if not self._over:
            a, b = fault.where
            self._cut(fault, [(a, b), (b, a)])

    def _reconnect(self, fault: Fault) -> None:
        """Break the connections `amount` times, evenly over `lasts`."""
        for count in range(fault.amount):
            self._time.after(count * fault.lasts // fault.amount, partial(self._break_connections, fault))

    def _break_connections(self, fault: Fault) -> None:
        if not self._over:
            self._cluster.network.break_connections(*fault.where)

    def _slow_link(self, fault: Fault) -> None:
        network = self._cluster.network
        sender, receiver = fault.where
        network.slow_down(sender, receiver, 1 + fault.amount)
        self._until(fault, partial(network.slow_down, sender, receiver, 1))

    def _filter(self, fault: Fault, prompt: bool, late: bool) -> None:
        sender, *named = fault.where
        for receiver in named or [replica for replica in range(self._cluster.n) if replica != sender]:
            self._filter_link(fault, sender, receiver, Filter(fault.aim.split(), prompt, late))

    def _filter_link(self, fault: Fault, sender: int, receiver: int, filter: Filter) -> None:
        network = self._cluster.network
        network.add_filter(sender, receiver, filter)
        self._until(fault, partial(network.remove_filter, sender, receiver, filter))

    def _loss(self, fault: Fault) -> None:
        network = self._cluster.network
        network.extra_loss = 4 * fault.amount

        def end() -> None:
            network.extra_loss = 0

        self._until(fault, end)
