"""The queue of submissions that are not proposed yet, and how the next batch is taken from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from epaxos.interfaces import CommandError, IStateMachine, Unavailable
from epaxos.node.limits import Batching
from epaxos.node.passing import Passing
from epaxos.node.separation import ReadNames, Separation
from epaxos.node.submissions import Submission

__all__ = ["Intake"]


class Intake:
    """Submissions wait here, first in, first out.

    `batch_bytes_max`: see `ITransport`.  `queue`: what waits; others only look whether anything does.
    `add` appends a submission; it is the queue's own method, because each client's commands take it.
    `wake()` is called when something has come to wait that nobody has added.
    """

    def __init__(
        self,
        machine: IStateMachine,
        batching: Batching,
        batch_bytes_max: int | None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._machine = machine
        self._is_read = ReadNames(machine)
        self._passing = Passing(self._is_read, machine)
        self._batch_bytes_max = batch_bytes_max
        self.use_bounds(batching)
        self._wake = wake
        self.queue: deque[Submission] = deque()
        self.add: Callable[[Submission], None] = self.queue.append

    def use_bounds(self, batching: Batching) -> None:
        """The next batches have these bounds."""
        self._commands_max = batching.commands_max
        self._bytes_max = batching.bytes_max
        limit = self._batch_bytes_max
        if limit is not None:  # stated sizes are estimates, so an eighth is left free
            self._bytes_max = min(batching.bytes_max, limit - limit // 8)

    @property
    def commands(self) -> int:
        """The number of commands that wait."""
        return sum(len(submission.commands) for submission in self.queue)

    def add_first(self, submissions: Sequence[Submission]) -> None:
        """Put submissions before all others, in their order."""
        self.queue.extendleft(reversed(submissions))

    def take(self) -> tuple[Separation, Sequence[Submission]] | None:
        """Take submissions for the next batch, at least one, with their commands told apart.

        None when the transport cannot carry the result: then what was taken is back in the queue
        in smaller pieces, or was refused.  To be called only while something waits.
        """
        return self._take(self.queue)

    def take_reads(self) -> list[tuple[Separation, Sequence[Submission]]]:
        """Take all reads that may pass the rest, which is held back (see Passing), as `take` does."""
        found = []
        while picked := self._passing.pick(self.queue):
            while picked:
                taken = self._take(picked)
                if taken is not None:
                    found.append(taken)
        return found

    def _take(self, queue: deque[Submission]) -> tuple[Separation, Sequence[Submission]] | None:
        """See `take`."""
        submissions = self._next_submissions(queue)
        if len(submissions) == 1:
            commands = submissions[0].commands
        else:
            commands = list(chain.from_iterable(submission.commands for submission in submissions))
        separation = Separation(commands, self._is_read, self._machine)
        limit = self._batch_bytes_max
        if limit is not None and separation.size_bytes > limit:
            self._make_smaller(submissions, separation.size_bytes, limit)
            return None
        return separation, submissions

    def _next_submissions(self, queue: deque[Submission]) -> list[Submission]:
        submissions = [queue.popleft()]
        commands = len(submissions[0].commands)
        size = submissions[0].size_bytes
        while queue:
            commands += len(queue[0].commands)
            size += queue[0].size_bytes
            if commands > self._commands_max or size > self._bytes_max:
                break
            submissions.append(queue.popleft())
        return submissions

    def _make_smaller(self, submissions: list[Submission], size_bytes: int, limit: int) -> None:
        """Queue submissions again so that smaller batches result, because their batch takes
        `size_bytes`, more than the transport's `limit`.  Refuse a single command."""
        first = submissions[0]
        if len(submissions) > 1:  # their sizes were underestimated
            estimate = sum(submission.size_bytes + 1 for submission in submissions)
            for submission in submissions:
                submission.size_bytes = (submission.size_bytes + 1) * size_bytes // estimate + 1
        elif len(first.commands) > 1:
            count = min(len(first.commands), size_bytes // limit + 1)
            submissions = [first.split(count, size_bytes // count, self._add_portion)]
        else:
            text = f"{size_bytes} bytes, and no more than {limit} are carried between replicas"
            first.answer([CommandError(f"ERR the command is too large: {text}")])
            return
        self.add_first(submissions)

    def _add_portion(self, portion: Submission) -> None:
        self.queue.appendleft(portion)
        self._wake()

    def refuse_all(self, text: str) -> None:
        """Answer everything that waits with Unavailable: it was not run."""
        refused = list(self.queue)
        self.queue.clear()
        _refuse(refused, text)

    def refuse_overdue(self, now: float, text: str) -> None:
        """Answer with Unavailable whatever has waited too long, from the front of the queue."""
        while self.queue and self.queue[0].deadline <= now:
            _refuse([self.queue.popleft()], text)


def _refuse(submissions: Iterable[Submission], text: str) -> None:
    for submission in submissions:
        submission.answer(Unavailable(text, False))
