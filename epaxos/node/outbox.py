"""Commits wait a moment for company: a message that goes to the same replica anyway.

Who reads a Commit has been woken for it, and whoever sends it has made a system call.  As long as
nothing waits for its execution, it may as well arrive with the next PreAccept or PreAcceptOK, or with
the next Commit: a replica with few clients is then woken half as often, and those that it asks have
the processors for themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import le

from epaxos.node.backoff import Backoff
from epaxos.protocol.values.ids import Deps
from epaxos.protocol.values.messages import Commit, Message

__all__ = ["Company"]

WAIT_S = 0.001
"""No Commit waits longer."""
WAIT_MIN_S = 0.0005
"""After so long it leaves with whatever the replica does then, to spare it a turn of its own."""

_Item = tuple[int, Message]


class Company:
    """Holds Commits back, until `due` at the latest.

    When they found no company, it tries again only after some turns, twice as many every time: far
    from each other, or with a single rare client, replicas do not wait.
    """

    def __init__(self) -> None:
        self.due: float | None = None
        self._waiting: list[_Item] = []
        self._found = False
        self._backoff = Backoff()

    def gather(self, now: float, outgoing: Sequence[_Item], executed: Deps) -> Sequence[_Item]:
        """What of this turn's messages, and of those that wait, leaves now; in order to each replica.

        A Commit that names what is not executed leaves at once: where commands interfere, others wait
        for it.
        """
        if self.due is not None and now >= self.due - WAIT_S + WAIT_MIN_S:
            return [*self.end(), *outgoing]
        hurried = {dest for dest, message in outgoing if not _may_wait(message, executed)}
        if self.due is None:
            if all(dest in hurried for dest, _ in outgoing):
                return outgoing
            if not self._backoff.may_try():
                return outgoing
            self.due = now + WAIT_S
            self._found = False
        elif any(dest in hurried for dest, _ in self._waiting):
            self._found = True
        known = [*self._waiting, *outgoing]
        self._waiting = [item for item in known if item[0] not in hurried]
        if not self._waiting:
            self.end()
        return [item for item in known if item[0] in hurried]

    def end(self) -> Sequence[_Item]:
        """Wait no longer: what waits leaves now."""
        leaving, self._waiting = self._waiting, []
        if self._found or len(leaving) > len({dest for dest, _ in leaving}):
            self._backoff.was_of_use()
        elif leaving:
            self._backoff.was_in_vain()
        self.due = None
        return leaving


def _may_wait(message: Message, executed: Deps) -> bool:
    return isinstance(message, Commit) and all(map(le, message.deps, executed))
