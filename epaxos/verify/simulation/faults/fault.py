"""The faults of a run, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from epaxos.verify.simulation.clock import SECOND

__all__ = ["STAYING", "Fault", "FaultKind", "Handler"]


class FaultKind(Enum):
    """The kinds of faults.  `Fault.where` names replicas, or the two ends of a link.

    For faults at sends, and of kinds of messages, the first replica is the sender; the rest, if any, are the
    receivers concerned.  The texts are part of the traces, and so of their digests.
    """

    KILL = "killed, restarted after a while"
    POWER = "lost power, restarted after a while"
    KILL_AT_WRITE = "killed at its next writes, restarted after a while"
    KILL_AT_SEND = "killed or without power at its next sends, restarted after a while"
    CUT_AT_SEND = "cut off from the others at its next sends"
    LATE_AT_SEND = "its next sends come late"
    POWER_AFTER_SEND = "loses power just after its next sends, restarted soon"
    DISARM = "nothing happens any more at its next sends or writes"
    RESTART = "stopped cleanly, restarted after a while"
    DISK_FULL = "disk full, restarted after a while"
    SLOW_DISK = "slow disk"
    PAUSE = "stopped and continued"
    SLOW = "slow processor"
    CLOCK_JUMP = "clock jumps ahead"
    CLOCK_RATE = "clock fast or slow"
    PARTITION = "cut off from the others"
    ONE_WAY = "link cut in one direction"
    FLAPPING = "link flaps"
    RECONNECT = "connections break and come back, again and again"
    SLOW_LINK = "slow link"
    LOSS = "many messages lost everywhere"
    LOSE = "messages of these kinds are lost"
    HOLD = "messages of these kinds come when this ends"
    ECHO = "messages of these kinds come again when this ends"
    TURN = "an operator lets the next epoch begin"
    JOIN = "asks to join"
    MEMBERS = "an operator wants other members"
    CHANGE = "pieces of states are changed on their way"
    PROGRAM = "gets another program"
    NEWER = "a client asks for a newer command"
    HUNG = "its disk never answers again"
    DEAF = "hears nobody any more, and is heard"
    MUTE = "is heard by nobody any more, and hears"
    DEAD = "dead, for good"
    LOST = "the disk is lost of the only one that has opened an epoch, or else of"


STAYING = (FaultKind.HUNG, FaultKind.DEAF, FaultKind.MUTE, FaultKind.DEAD, FaultKind.LOST)
"""Lasting faults.  At most f replicas of a plan have one; the others have to work without these."""


class Fault(NamedTuple):
    """A fault that begins at `at` and lasts for `lasts`, both in microseconds.  The meaning of `amount`
    and `aim` depends on the kind."""

    name: int
    at: int
    kind: FaultKind
    where: tuple[int, ...]
    lasts: int
    amount: int
    aim: str = ""

    def __str__(self) -> str:
        places = ",".join(f"R{replica}" for replica in self.where)
        amount = f"{self.amount} {self.aim}".rstrip()
        return (
            f"fault {self.name}: {self.kind.value} {places}"
            f" at {self.at / SECOND:.6f} for {self.lasts / SECOND:.6f} ({amount})"
        )


Handler = Callable[[Fault], None]
"""Lets a fault happen."""
