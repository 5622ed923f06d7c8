"""What one caller handed in together, on its way to the replies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain

from twisted.logger import Logger

from epaxos.interfaces import Command, CommandError, Outcome, Reply, Unavailable

__all__ = ["Submission"]

NOT_REACHED = "CLUSTERDOWN a command that was sent before this one has failed; the command was not run"

_log = Logger()


class Submission:
    """Commands of one caller, answered together.

    `done` is called once with the outcome; it is None once the caller was told.  `deadline`: the
    time, on the clock of `ITimeoutService`, at which the caller has waited too long.
    `size_bytes`: about the size of the commands on the wire.  `rounds`: how often its commands have run
    before.
    """

    __slots__ = ("commands", "deadline", "done", "rounds", "size_bytes")

    def __init__(
        self,
        commands: Sequence[Command],
        done: Callable[[Outcome], None],
        deadline: float,
        size_bytes: int,
        rounds: int = 0,
    ) -> None:
        self.commands = commands
        self.done: Callable[[Outcome], None] | None = done
        self.deadline = deadline
        self.size_bytes = size_bytes
        self.rounds = rounds

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller, unless it was told before.  What the caller raises is logged, because
        a bug of one caller must not harm the others."""
        done, self.done = self.done, None
        if done is not None:
            try:
                done(outcome)
            except Exception:
                _log.failure("an answer could not be delivered")

    def follow(self, commands: Sequence[Command], done: Callable[[Outcome], None]) -> Submission:
        """Commands that run because of those of this submission, in the time that its caller still waits."""
        size = sum(map(len, chain.from_iterable(commands)))
        return Submission(commands, done, self.deadline, size, self.rounds + 1)

    def split(self, count: int, portion_bytes: int, add_first: Callable[[Submission], None]) -> Submission:
        """The commands in about `count` portions of about `portion_bytes` bytes each: the first portion.

        Each further one is handed to `add_first` when the one before has run, so that all take effect in
        their order.  This submission is answered with the replies of all.  When a portion fails, the replies
        of it and of those behind it are errors, because the portions before it have run.
        """
        length = -(-len(self.commands) // count)
        starts = range(0, len(self.commands), length)
        portions = deque([self.commands[start : start + length] for start in starts])
        return _Portions(self, portions, portion_bytes, add_first).next()


class _Portions:
    """The portions of a submission that have not run, and the replies of those that have."""

    def __init__(
        self,
        whole: Submission,
        portions: deque[Sequence[Command]],
        portion_bytes: int,
        add_first: Callable[[Submission], None],
    ) -> None:
        self._whole = whole
        self._portions = portions
        self._portion_bytes = portion_bytes
        self._add_first = add_first
        self._replies: list[Reply] = []

    def next(self) -> Submission:
        """The next portion."""
        whole = self._whole
        return Submission(self._portions[0], self._on_done, whole.deadline, self._portion_bytes, whole.rounds)

    def _on_done(self, outcome: Outcome) -> None:
        done = self._portions.popleft()
        if isinstance(outcome, Unavailable):
            self._replies += [CommandError(str(outcome))] * len(done)
            for portion in self._portions:
                self._replies += [CommandError(NOT_REACHED)] * len(portion)
            self._portions.clear()
        else:
            self._replies += outcome
        if self._portions:
            self._add_first(self.next())
        else:
            self._whole.answer(self._replies)
