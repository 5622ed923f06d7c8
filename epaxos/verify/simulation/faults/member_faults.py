"""Operators that change the members, and replicas that ask to join."""

from __future__ import annotations

from collections.abc import Callable

from twisted.python.failure import Failure

from epaxos.interfaces import Refusal
from epaxos.node.node import Node
from epaxos.protocol.values.changes import Add, Change, Move, Nothing, Remove, Replace, changed
from epaxos.protocol.values.membership import Member, Membership
from epaxos.verify.simulation.cluster import Host
from epaxos.verify.simulation.faults.fault import Fault, FaultKind, Handler
from epaxos.verify.simulation.faults.span import Span

__all__ = ["MemberFaults"]

_TIMES = 30
"""How often an operator asks, at most, while the fault lasts."""


class MemberFaults:
    """The aim of a fault says what its operator wants: `add 5`, `remove 1`, `replace 1 5`, `move 1`, or
    `turn`."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def handlers(self) -> dict[FaultKind, Handler]:
        """The handler of each kind of fault."""
        return {FaultKind.JOIN: self._join, FaultKind.MEMBERS: self._change}

    def _join(self, fault: Fault) -> None:
        for host in self._span.hosts(fault):
            host.wanted = True
            host.start()

    def _change(self, fault: Fault) -> None:
        _Operator(self._span, fault).ask()


class _Operator:
    """Asks the replicas that the fault names, one after the other, until one has done it."""

    def __init__(self, span: Span, fault: Fault) -> None:
        self._span = span
        self._fault = fault
        self._hosts = span.hosts(fault)
        self._left = _TIMES

    def ask(self) -> None:
        """Ask the next one, and again later unless it is done."""
        self._left -= 1
        if self._left < 0 or self._span.over:
            return
        host = self._hosts[self._left % len(self._hosts)]
        if host.node is None or host.process is None:
            self._again()
        else:
            host.process.soon(lambda: self._ask(host))

    def _again(self) -> None:
        self._span.time.after(1 + self._fault.lasts // _TIMES, self.ask)

    def _ask(self, host: Host) -> None:
        node = host.node
        change = None if node is None else self._of(node)
        if node is None or change is None:
            self._again()
            return
        answer = node.change(change, force=self._fault.amount == 0)
        answer.addCallbacks(self._done, self._refused, callbackArgs=(change, host))

    def _of(self, node: Node) -> Change | None:
        """The change that is wanted; None while who has to join does not ask to."""
        what, *numbers = self._fault.aim.split()
        ids = list(map(int, numbers))
        if what in ("add", "replace"):
            member = _candidate(node, ids[-1])
            if member is None:
                return None
            return Add(member) if what == "add" else Replace(ids[0], member)
        make: dict[str, Callable[[], Change]] = {
            "remove": lambda: Remove(ids[0]),
            "move": lambda: Move(ids[0], f"there:{self._fault.name}"),
            "turn": Nothing,
        }
        return make[what]()

    def _done(self, membership: Membership, change: Change, host: Host) -> None:
        cluster = self._span.cluster
        cluster.trace.note(f"operator {self._fault.name}", f"has {membership.number}: {self._fault.aim}")
        if changed(membership, change) is not membership:
            cluster.violated(f"Members: {change} was answered with {membership}")
        cluster.check_safe(membership, f"replica {host.id} has told an operator")

    def _refused(self, failure: Failure) -> None:
        if not isinstance(failure.value, Refusal):
            failure.raiseException()
        text = str(failure.value)
        self._span.cluster.trace.note(f"operator {self._fault.name}", f"is refused: {text}")
        self._again()


def _candidate(node: Node, number: int) -> Member | None:
    there = [one.member for one in node.candidates() if one.member.number == number]
    membership = node.membership()
    present = None if membership is None else membership.find(number)
    return there[0] if there else present
