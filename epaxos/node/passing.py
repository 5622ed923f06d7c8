"""Which reads pass the commands that are held back (docs: protocol/epochs, T10)."""

from __future__ import annotations

from collections import deque
from operator import itemgetter

from epaxos.interfaces import IStateMachine
from epaxos.node.separation import ReadNames
from epaxos.node.submissions import Submission

__all__ = ["Passing"]

_name = itemgetter(0)
_key = itemgetter(1)


class Passing:
    """Picks reads out of a queue whose other submissions are held back.

    A submission passes when it only reads, and no key that one before it writes, because a client sees its
    own commands on one key in their order.  Each submission that stays is looked at once, unless the queue
    has changed in front of it.
    """

    def __init__(self, is_read: ReadNames, machine: IStateMachine) -> None:
        self._is_read = is_read
        self._machine = machine
        self._stays: tuple[Submission, Submission] | None = None  # the first and the last one of these
        self._count = 0
        self._written: set[bytes] = set()
        self._is_closed = False  # what stays may write any key

    def pick(self, queue: deque[Submission]) -> deque[Submission]:
        """Take what passes out of `queue`, in order."""
        if not self._is_unchanged(queue):
            self._count = 0
            self._written = set()
            self._is_closed = False
        picked: deque[Submission] = deque()
        new = [queue.pop() for _ in range(len(queue) - self._count)]
        for submission in reversed(new):
            if self._may_pass(submission):
                picked.append(submission)
            else:
                self._stay(submission)
                queue.append(submission)
        self._count = len(queue)
        self._stays = (queue[0], queue[-1]) if queue else None
        return picked

    def _is_unchanged(self, queue: deque[Submission]) -> bool:
        """Whether the queue still begins with what stayed; it changes at its front, and grows at its end."""
        count, stays = self._count, self._stays
        return stays is not None and len(queue) >= count and (queue[0], queue[count - 1]) == stays

    def _may_pass(self, submission: Submission) -> bool:
        commands = submission.commands
        return (
            not self._is_closed
            and all(map(self._is_read.__getitem__, map(_name, commands)))
            and self._written.isdisjoint(map(_key, commands))
        )

    def _stay(self, submission: Submission) -> None:
        if not self._is_closed:
            batch = self._machine.batch(submission.commands)
            self._written.update(batch.writes)
            self._is_closed = batch.barrier
