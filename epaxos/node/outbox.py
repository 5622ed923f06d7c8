"""What is sent to other replicas, and when.

Commit messages are delayed by up to 1 ms, so that they share a write with the next message to the
same replica: each message that arrives alone wakes its receiver, and each write costs a system
call.  Only a Commit whose dependencies are all executed is delayed, because nothing waits for it.
A replica with few clients is then woken half as often, and leaves the processors to the replicas
that it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter, le

from epaxos.node.backoff import Backoff
from epaxos.protocol.values.clocks import Clocks
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps
from epaxos.protocol.values.messages import Commit, Heartbeat, Message

__all__ = ["Outbox"]

WAIT_S = 0.001
"""The longest delay of a Commit."""
WAIT_MIN_S = 0.0005
"""After this delay a Commit leaves in the next turn that the replica takes for any other reason,
which spares a turn for the Commit alone."""

_Item = tuple[int, Message]

_message = itemgetter(1)


class Outbox:
    """Gathers the messages of a turn, and hands them to `send`, in order to each replica.

    When no other message joined the delayed Commits, the next delays are skipped (`Backoff`).  So
    replicas that are far from each other, or that have a single rare client, do not wait.

    `send(epoch, messages)` gets each message with the number of the member that it is for.
    `epoch`: the number of the epoch of all messages.  `now`: the clock of `ITimeoutService`.  `stamp()`:
    what a Heartbeat that leaves now tells of the clocks.  `due`: the time at which delayed Commits leave at
    the latest; None when there are none.
    """

    def __init__(
        self,
        send: Callable[[int, Sequence[_Item]], None],
        now: Callable[[], float],
        stamp: Callable[[], Clocks],
    ) -> None:
        self.epoch = 0
        self._numbers: tuple[int, ...] | None = None  # of the rows, where they differ from them
        self.due: float | None = None
        self._send = send
        self._now = now
        self._stamp = stamp
        self._outgoing: list[_Item] = []
        self._delayed: list[_Item] = []
        self._was_joined = False
        self._backoff = Backoff()

    def add(self, messages: Sequence[_Item]) -> None:
        """Messages for this turn, each with the row that it is for."""
        self._outgoing += messages

    @property
    def has_only_commits(self) -> bool:
        """Whether this turn has no messages but Commits.  Nobody waits for a Commit as clients wait
        for their replies."""
        return all(isinstance(message, Commit) for _, message in self._outgoing)

    def flush(self, executed: Deps) -> None:
        """Send what leaves in this turn.  `executed`: everything executed before this turn."""
        outgoing, self._outgoing = self._outgoing, []
        if outgoing or self.due is not None:
            leaving = self._choose(self._now(), outgoing, executed)
            if leaving:
                self._give(leaving)

    def _give(self, leaving: Sequence[_Item]) -> None:
        """Hand messages, each with the row that it is for, to the transport."""
        if Heartbeat in map(type, map(_message, leaving)):
            leaving = self._stamped(leaving)
        numbers = self._numbers
        if numbers is not None:
            leaving = [(numbers[row], message) for row, message in leaving]
        self._send(self.epoch, leaving)

    def _stamped(self, leaving: Sequence[_Item]) -> Sequence[_Item]:
        """The messages, with the clocks in each Heartbeat.  One that goes to several replicas stays one."""
        clocks = self._stamp()
        stamped: dict[int, Message] = {}
        for _, message in leaving:
            if isinstance(message, Heartbeat):
                stamped[id(message)] = message._replace(clocks=clocks)
        return [(row, stamped.get(id(message), message)) for row, message in leaving]

    def send_delayed(self) -> None:
        """Send the delayed Commits, when no turn follows."""
        self._give(self._end_delay())

    def move(self, epoch: Epoch) -> None:
        """`epoch` begins.  The Commits of the one before leave, above all that of the instance that has
        ended it; everything else of it is void."""
        leaving = [*self._end_delay(), *(item for item in self._outgoing if isinstance(item[1], Commit))]
        self._outgoing.clear()
        if leaving:
            self._give(leaving)
        self.epoch = epoch.number
        self._numbers = None if epoch.members == tuple(range(epoch.n)) else epoch.members

    def drop(self) -> None:
        """Forget everything that was not sent."""
        self._outgoing.clear()
        self._end_delay()

    def _choose(self, now: float, outgoing: Sequence[_Item], executed: Deps) -> Sequence[_Item]:
        """The messages of this turn, and the delayed ones, that leave now."""
        if self.due is not None and now >= self.due - WAIT_S + WAIT_MIN_S:
            return [*self._end_delay(), *outgoing]
        prompt = {dest for dest, message in outgoing if not _may_wait(message, executed)}
        if self.due is None:
            if all(dest in prompt for dest, _ in outgoing):
                return outgoing
            if not self._backoff.may_try():
                return outgoing
            self.due = now + WAIT_S
            self._was_joined = False
        elif any(dest in prompt for dest, _ in self._delayed):
            self._was_joined = True
        unsent = [*self._delayed, *outgoing]
        self._delayed = [item for item in unsent if item[0] not in prompt]
        if not self._delayed:
            self._end_delay()
        return [item for item in unsent if item[0] in prompt]

    def _end_delay(self) -> Sequence[_Item]:
        """Delay nothing any more; the Commits that were delayed."""
        leaving, self._delayed = self._delayed, []
        if self._was_joined or len(leaving) > len({dest for dest, _ in leaving}):
            self._backoff.on_success()
        elif leaving:
            self._backoff.on_failure()
        self.due = None
        return leaving


def _may_wait(message: Message, executed: Deps) -> bool:
    return isinstance(message, Commit) and all(map(le, message.deps, executed))
