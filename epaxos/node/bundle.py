"""What this replica proposes together: one or more submissions, told apart into a batch and a read."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.interfaces import Reply, RunAgain, SimpleString
from epaxos.node.reruns import Reruns
from epaxos.node.separation import Separation
from epaxos.node.step_times import StepTimes
from epaxos.node.submissions import Submission

__all__ = ["Bundle"]


class Bundle:
    """Submissions that are proposed together, and the time `since` when they are.  `decided`: when they were.

    `read_number`: the core's number of their read; None when they read nothing, or when the core
    has answered the read, or when nobody waits for it any more.  `reruns`: where its commands go that ask to
    run again.  `steps` knows which bundle is answered.
    """

    __slots__ = (
        "_has_reruns",
        "_read",
        "_replies",
        "_reruns",
        "_steps",
        "decided",
        "read_number",
        "separation",
        "since",
        "submissions",
    )

    def __init__(
        self,
        separation: Separation,
        submissions: Sequence[Submission],
        since: float,
        reruns: Reruns,
        steps: StepTimes,
    ) -> None:
        self.separation = separation
        self.submissions = submissions
        self.since = self.decided = since
        self._reruns = reruns
        self._steps = steps
        self._has_reruns = False
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
        batch = self.separation.batch
        if batch is not None and _asks_to_run_again(replies):
            replies = self._begin_again(replies, False)
        self._replies = replies
        self._answer_if_whole()

    def on_read(self, replies: Sequence[Reply]) -> None:
        """The reads were run, and gave these replies."""
        if _asks_to_run_again(replies):
            replies = self._begin_again(replies, True)
        self._read = replies
        self._answer_if_whole()

    def _begin_again(self, replies: Sequence[Reply], of_reads: bool) -> Sequence[Reply]:
        self._has_reruns = True
        return self._reruns.begin(replies, self.separation.places(of_reads), self.submissions)

    def _answer_if_whole(self) -> None:
        if self._replies is not None and self._read is not None:
            self._answer(self.separation.merge(self._replies, self._read))

    def _answer(self, replies: Sequence[Reply]) -> None:
        """Hand each submission its share of the replies, all of which may not be there yet."""
        self._steps.answered_since, self._steps.answered_decided = self.since, self.decided
        tell = self._reruns.answer if self._has_reruns else Submission.answer
        if len(self.submissions) == 1:
            tell(self.submissions[0], replies)
            return
        start = 0
        for submission in self.submissions:
            end = start + len(submission.commands)
            tell(submission, replies[start:end])
            start = end


def _asks_to_run_again(replies: Sequence[Reply]) -> bool:
    """Whether one of the replies is RunAgain.  Mostly all are the same status, which is counted faster."""
    if replies and type(replies[0]) is SimpleString and replies.count(replies[0]) == len(replies):
        return False
    return RunAgain in map(type, replies)
