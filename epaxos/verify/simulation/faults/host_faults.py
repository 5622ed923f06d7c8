"""Faults of processes, disks and clocks."""

from __future__ import annotations

from functools import partial

from twisted.python.failure import Failure

from epaxos.interfaces import Refusal
from epaxos.node.node import Node
from epaxos.verify.simulation.clock import SECOND
from epaxos.verify.simulation.cluster import Host
from epaxos.verify.simulation.faults.fault import Fault, FaultKind, Handler
from epaxos.verify.simulation.faults.span import Span

__all__ = ["HostFaults"]


def _turn(node: Node) -> None:
    node.turn().addErrback(_refused)


def _refused(failure: Failure) -> None:
    if not isinstance(failure.value, Refusal):
        failure.raiseException()


class HostFaults:
    """Faults that begin at once, at the hosts that they name."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def handlers(self) -> dict[FaultKind, Handler]:
        """The handler of each kind of fault."""
        return {
            FaultKind.KILL: partial(self._crash, power=False),
            FaultKind.POWER: partial(self._crash, power=True),
            FaultKind.KILL_AT_WRITE: self._crash_at_write,
            FaultKind.DISARM: self._disarm,
            FaultKind.RESTART: self._restart,
            FaultKind.DISK_FULL: self._disk_full,
            FaultKind.SLOW_DISK: self._slow_disk,
            FaultKind.PAUSE: self._pause,
            FaultKind.SLOW: self._slow,
            FaultKind.CLOCK_JUMP: self._clock_jump,
            FaultKind.CLOCK_RATE: self._clock_rate,
            FaultKind.TURN: self._turn,
        }

    def _crash(self, fault: Fault, power: bool) -> None:
        for host in self._span.hosts(fault):
            host.crash(power)
            self._span.until(fault, host.start)

    def _crash_at_write(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            host.crash_at_write = fault.amount
            self._span.until(fault, host.start)

    def _disarm(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            host.disarm()

    def _restart(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            host.stop()
            self._span.until(fault, host.start)

    def _disk_full(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            host.disk.full = True

            def end(host: Host = host) -> None:
                host.crash(power=False)
                host.disk.full = False
                host.start()

            self._span.until(fault, end)

    def _slow_disk(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            host.disk.slowness = 1 + 5 * fault.amount

            def end(host: Host = host) -> None:
                host.disk.slowness = 1

            self._span.until(fault, end)

    def _turn(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            if host.node is not None and host.process is not None:
                host.process.soon(partial(_turn, host.node))

    def _pause(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            if host.process is not None:
                host.process.pause(fault.lasts)

    def _slow(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            host.set_cost(fault.amount * 25)
            self._span.until(fault, partial(host.set_cost, self._span.cluster.plan.cost_us))

    def _clock_jump(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            if host.clock is not None:
                host.clock.change(jump=fault.amount * SECOND // 4)

    def _clock_rate(self, fault: Fault) -> None:
        rate = 100 + 10 * fault.amount if fault.amount % 2 else 100 - 4 * fault.amount
        for host in self._span.hosts(fault):
            if host.clock is not None:
                host.clock.change(rate=rate)
                self._span.until(fault, partial(host.clock.change, rate=100))
