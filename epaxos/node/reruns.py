"""Commands that ask to run again: what the state machine wants first, then the command once more.

A state machine answers RunAgain where it must not reply yet: a key that is only read is due, and has to be
deleted by all replicas before anybody is told that it is gone (docs: concepts/expiry).  Both commands are
proposed together, before everything that waits.  The other replies of the caller wait for the last one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from epaxos.interfaces import (
    Command,
    CommandError,
    IReadsBefore,
    IStateMachine,
    Outcome,
    Reply,
    RunAgain,
    Unavailable,
)
from epaxos.node.intake import Intake
from epaxos.node.submissions import Submission
from epaxos.protocol.values.messages import Batch

__all__ = ["ROUNDS_MAX", "Reruns", "reader_before"]

ROUNDS_MAX = 10
"""How often a command runs again.  Each time something else may be in its way, mostly nothing is."""
_TOO_OFTEN = f"ERR the command was put off {ROUNDS_MAX} times by keys that became due: try again"


def reader_before(machine: IStateMachine) -> Callable[[Command, Batch], Reply]:
    """What answers a command that reads as if it had run just before a batch."""
    if IReadsBefore.providedBy(machine):
        read_before: Callable[[Command, Batch], Reply] = machine.read_before
        return read_before
    return lambda command, batch: machine.read([command])[0]


class _Rerun:
    """A command that runs again.  It stands in the place of its reply until that is there.

    `keys`: what it reads, when it writes nothing; None when it writes something.
    """

    def __init__(self, command: Command, keys: frozenset[bytes] | None) -> None:
        self.command = command
        self.keys = keys
        self.awaited = 0
        """How many submissions it waits for."""
        self.known: list[Reply] | None = None
        """The reply, if it is known before the command has run again."""
        self.reply: Reply = None
        self.failure: Unavailable | None = None
        self.tell: Callable[[], None] = _nothing

    @property
    def is_done(self) -> bool:
        """Whether nothing is waited for any more."""
        return not self.awaited

    def is_overtaken_by(self, batch: Batch) -> bool:
        """Whether `batch`, which was proposed behind the command, writes what the command reads."""
        return (
            self.keys is not None
            and self.known is None
            and (batch.barrier or not self.keys.isdisjoint(batch.writes))
        )

    def on_done(self, outcome: Reply | Unavailable) -> None:
        """What it waited for has run, or did not in time."""
        self.awaited -= 1
        if isinstance(outcome, Unavailable):
            self.failure = outcome
        elif self.known is None:
            self.reply = outcome
        else:
            self.reply = self.known[0]
        if self.is_done:
            self.tell()


class _Share:
    """The replies to one submission, some of which are not there yet."""

    def __init__(self, submission: Submission, replies: Sequence[Any]) -> None:
        self._submission = submission
        self._replies = replies
        self._reruns: list[_Rerun] = [reply for reply in replies if isinstance(reply, _Rerun)]
        for rerun in self._reruns:
            rerun.tell = self.tell
        self.tell()

    def tell(self) -> None:
        """Answer, once everything is there.  When nothing of it has run, all fail together."""
        if not all(rerun.is_done for rerun in self._reruns):
            return
        failed = [rerun.failure for rerun in self._reruns if rerun.failure is not None]
        if failed and len(failed) == len(self._replies):
            self._submission.answer(failed[0])
        else:
            self._submission.answer(list(map(_reply, self._replies)))


def _reply(reply: Any) -> Reply:
    if not isinstance(reply, _Rerun):
        found: Reply = reply
        return found
    return reply.reply if reply.failure is None else CommandError(str(reply.failure))


class Reruns:
    """All commands of this replica that run again.

    `wake()` lets the node take a turn.
    """

    def __init__(self, intake: Intake, machine: IStateMachine, wake: Callable[[], None]) -> None:
        self._intake = intake
        self._machine = machine
        self._wake = wake
        self._read_before = reader_before(machine)
        self._is_exact = IReadsBefore.providedBy(machine)
        self._pending: dict[_Rerun, Submission] = {}  # with what each runs in

    # -- what asks to run again

    def begin(
        self, replies: Sequence[Reply], places: Sequence[int], submissions: Sequence[Submission]
    ) -> Sequence[Reply]:
        """Begin what `replies` ask for; they come back with something else in the places of these replies.

        `places`: where each reply stands among those to all commands of `submissions`.
        """
        found = list(replies)
        ends = list(accumulate(len(submission.commands) for submission in submissions))
        asked: dict[Submission, list[tuple[RunAgain, _Rerun]]] = {}
        for number, reply in enumerate(replies):
            if isinstance(reply, RunAgain):
                owner = bisect_right(ends, places[number])
                submission = submissions[owner]
                found[number] = self._answer_to(submission, places[number] - ends[owner], reply, asked)
        self._intake.add_first([self._follow(submission, reruns) for submission, reruns in asked.items()])
        self._wake()
        return found

    def _answer_to(
        self,
        submission: Submission,
        number: int,
        again: RunAgain,
        asked: dict[Submission, list[tuple[RunAgain, _Rerun]]],
    ) -> Reply:
        if submission.done is None:
            return None  # nobody is told
        if submission.rounds >= ROUNDS_MAX:
            return CommandError(_TOO_OFTEN)
        command = submission.commands[number]
        rerun = _Rerun(command, self._keys_of(command))
        asked.setdefault(submission, []).append((again, rerun))
        placeholder: Reply = rerun  # type: ignore[assignment]  # until `answer`
        return placeholder

    def _keys_of(self, command: Command) -> frozenset[bytes] | None:
        if self._machine.is_read(command[0]):
            return frozenset(command[1:2])
        batch = self._machine.batch([command])
        return None if batch.writes or batch.barrier or not self._is_exact else frozenset(batch.reads)

    def _follow(self, submission: Submission, reruns: Sequence[tuple[RunAgain, _Rerun]]) -> Submission:
        """The submission of what runs first, and of the commands whose replies are not known."""
        commands: list[Command] = []
        told: list[tuple[_Rerun, int]] = []
        for again, rerun in reruns:
            commands.append(again.first)
            rerun.known = again.known
            if again.known is None:
                commands.append(rerun.command)
            rerun.awaited += 1
            told.append((rerun, len(commands) - 1))
        following = submission.follow(commands, partial(self._on_done, told))
        self._pending.update((rerun, following) for rerun, _ in told)
        return following

    def _on_done(self, told: Sequence[tuple[_Rerun, int]], outcome: Outcome) -> None:
        for rerun, number in told:
            rerun.on_done(outcome if isinstance(outcome, Unavailable) else outcome[number])
            if rerun.is_done:
                self._pending.pop(rerun, None)

    # -- the replies

    def answer(self, submission: Submission, replies: Sequence[Reply]) -> None:
        """Answer a submission, when all of its replies are there."""
        if any(isinstance(reply, _Rerun) for reply in replies):
            _Share(submission, replies)
        else:
            submission.answer(replies)

    def on_own_batch(self, batch: Batch, submissions: Sequence[Submission]) -> None:
        """An own batch is about to run, that of `submissions`.

        Whatever conflicts with a command and was proposed before it has run, so this one was proposed later,
        and the command must not see what it writes.
        """
        for rerun, following in list(self._pending.items()):
            if rerun.is_overtaken_by(batch) and following not in submissions:
                reply = self._read_before(rerun.command, batch)
                if isinstance(reply, RunAgain):
                    self._intake.add_first([self._follow(following, [(reply, rerun)])])
                    self._wake()
                else:
                    rerun.known = [reply]


def _nothing() -> None:
    """Nobody waits yet."""
