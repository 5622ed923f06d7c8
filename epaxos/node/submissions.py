"""Commands on their way from clients to replies.

A submission is what one caller handed in together.  A bundle is what this replica proposes
together: one or more submissions, told apart into a batch and a read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

from twisted.logger import Logger

from epaxos.interfaces import Command, CommandError, Outcome, Reply, Unavailable
from epaxos.node.separation import Separation

__all__ = ["Bundle", "Submission"]

_log = Logger()


class Submission:
    """Commands of one caller, answered together.

    `done` is called once with the outcome; it is None once the caller was told.  `deadline`: the
    time, on the clock of `ITimeoutService`, at which the caller has waited too long.
    `size_bytes`: about the size of the commands on the wire.
    """

    __slots__ = ("commands", "deadline", "done", "size_bytes")

    def __init__(
        self,
        commands: Sequence[Command],
        done: Callable[[Outcome], None],
        deadline: float,
        size_bytes: int,
    ) -> None:
        self.commands = commands
        self.done: Callable[[Outcome], None] | None = done
        self.deadline = deadline
        self.size_bytes = size_bytes

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, unless it was told before.  What the caller raises is logged, because
        a bug of one caller must not harm the others."""
        done, self.done = self.done, None
        if done is not None:
            try:
                done(outcome)
            except Exception:
                _log.failure("an answer could not be delivered")

    def split(self, count: int, portion_bytes: int) -> list[Submission]:
        """The commands in about `count` portions, in order, of about `portion_bytes` bytes each.

        This submission is answered once every portion is, with the replies of all.  The replies
        of a portion that failed are errors, because the other portions may have run.
        """
        length = -(-len(self.commands) // count)
        starts = range(0, len(self.commands), length)
        portions = [self.commands[start : start + length] for start in starts]
        whole = _Whole(len(portions), self.answer)
        return [
            Submission(portion, partial(whole.on_portion, index, len(portion)), self.deadline, portion_bytes)
            for index, portion in enumerate(portions)
        ]


class _Whole:
    """Gathers the outcomes of all portions of a submission."""

    def __init__(self, count: int, done: Callable[[Outcome], None]) -> None:
        self._replies: list[Sequence[Reply]] = [()] * count
        self._missing = count
        self._done = done

    def on_portion(self, index: int, length: int, outcome: Outcome) -> None:
        """The outcome of a portion of `length` commands.  Called once for each portion."""
        if isinstance(outcome, Unavailable):
            outcome = [CommandError(str(outcome))] * length
        self._replies[index] = outcome
        self._missing -= 1
        if not self._missing:
            self._done(list(chain.from_iterable(self._replies)))


class Bundle:
    """Submissions that are proposed together, and the time `since` when they are.

    `read_number`: the core's number of their read; None when they read nothing, or when the core
    has answered the read, or when nobody waits for it any more.
    """

    __slots__ = ("_read", "_replies", "read_number", "separation", "since", "submissions")

    def __init__(self, separation: Separation, submissions: Sequence[Submission], since: float) -> None:
        self.separation = separation
        self.submissions = submissions
        self.since = since
        self.read_number: int | None = None
        self._replies: Sequence[Reply] | None = None if separation.batch is not None else ()
        self._read: Sequence[Reply] | None = None if separation.reads else ()

    @property
    def commands(self) -> int:
        """The number of commands."""
        return sum(len(submission.commands) for submission in self.submissions)

    @property
    def wanted(self) -> bool:
        """Whether a caller still waits."""
        return any(submission.done is not None for submission in self.submissions)

    @property
    def has_run(self) -> bool:
        """Whether its batch, if it has one, was applied."""
        return self.separation.batch is not None and self._replies is not None

    def on_applied(self, replies: Sequence[Reply]) -> None:
        """The batch was applied, and gave these replies."""
        self._replies = replies
        self._answer_if_whole()

    def on_read(self, replies: Sequence[Reply]) -> None:
        """The reads were run, and gave these replies."""
        self._read = replies
        self._answer_if_whole()

    def _answer_if_whole(self) -> None:
        if self._replies is not None and self._read is not None:
            self._answer(self.separation.merge(self._replies, self._read))

    def _answer(self, replies: Sequence[Reply]) -> None:
        """Hand each submission its share of the replies."""
        if len(self.submissions) == 1:
            self.submissions[0].answer(replies)
            return
        start = 0
        for submission in self.submissions:
            end = start + len(submission.commands)
            submission.answer(replies[start:end])
            start = end
