"""Replicas that are upgraded, and put back while that is possible; and clients that ask for what is newer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from epaxos.interfaces import CommandError, Outcome
from epaxos.node.node import Node
from epaxos.verify.simulation.cluster import Host
from epaxos.verify.simulation.faults.fault import Fault, FaultKind, Handler
from epaxos.verify.simulation.faults.span import Span

__all__ = ["VersionFaults"]


class VersionFaults:
    """`amount` is the version of the program that a replica gets."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def handlers(self) -> dict[FaultKind, Handler]:
        """The handler of each kind of fault."""
        return {FaultKind.PROGRAM: self._change, FaultKind.NEWER: self._ask}

    def _change(self, fault: Fault) -> None:
        """The process ends, and one of the other program begins, unless the folder is beyond it."""
        for host in self._span.hosts(fault):
            host.crash(power=False)
            self._install(host, fault.amount)
            self._span.until(fault, host.start)

    def _install(self, host: Host, version: int) -> None:
        cluster = self._span.cluster
        host.disk.sync()
        opened = host.disk.contents.opened
        held = host.disk.settings.version if opened is None else opened.membership.version
        if version >= held:
            host.was_put_back |= version < cluster.network.versions[host.id]
            cluster.network.versions[host.id] = version
            cluster.trace.note(f"R{host.id}", f"has a program of version {version}")

    def _ask(self, fault: Fault) -> None:
        command = (b"SETRANGE", b"newer", b"0", b"%d" % fault.name)
        for host in self._span.hosts(fault):
            if host.node is not None and host.process is not None:
                host.process.soon(partial(self._submit, host, host.node, command))

    def _submit(self, host: Host, node: Node, command: Sequence[bytes]) -> None:
        trace = self._span.cluster.trace
        try:
            node.check(command)
        except CommandError as refusal:
            trace.note(f"R{host.id}", f"refuses what is newer: {refusal}")
        else:
            trace.note(f"R{host.id}", "takes what is newer")
            node.submit([command], _ignore)


def _ignore(outcome: Outcome) -> None:
    """Nobody waits for it."""
