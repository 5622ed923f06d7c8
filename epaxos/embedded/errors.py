"""What a program is told when its replica does not answer."""

from __future__ import annotations

from epaxos.interfaces import Unavailable

__all__ = ["MayHaveRun", "NotRun", "ReplicaFailed", "as_raised"]


class NotRun(Unavailable):
    """The command was not run, and never will be: it may be tried again."""


class MayHaveRun(Unavailable):
    """Nobody knows whether the command was run, or will be.  Only a command that does no harm when it is
    run twice may be tried again."""


class ReplicaFailed(Exception):
    """The replica cannot go on; the text is one line for people.

    `is_wrong`: another start does not help, because its data is damaged, lost, a copy, or of another replica
    or cluster, or because it is no member of its cluster any more.
    """

    def __init__(self, text: str, is_wrong: bool) -> None:
        super().__init__(text)
        self.is_wrong = is_wrong


def as_raised(outcome: Unavailable) -> Unavailable:
    """The outcome as the class that says whether the command may have run."""
    kind = MayHaveRun if outcome.may_have_run else NotRun
    return kind(str(outcome).removeprefix("CLUSTERDOWN "), outcome.may_have_run)
