"""When a node takes its next turn, if nothing arrives before."""

from __future__ import annotations

from epaxos.node.disk_watch import DiskWatch
from epaxos.node.epochs import Epochs
from epaxos.node.in_flight import InFlight
from epaxos.node.intake import Intake
from epaxos.node.outbox import Outbox
from epaxos.node.pacing import Pacing
from epaxos.node.refusals import Refusals
from epaxos.node.turns import Turns
from epaxos.protocol.replica import Replica

__all__ = ["next_turn"]


def next_turn(
    now: float,
    core: Replica,
    disk: DiskWatch,
    epochs: Epochs,
    in_flight: InFlight,
    intake: Intake,
    outbox: Outbox,
    pacing: Pacing,
    refusals: Refusals,
    turns: Turns,
) -> float:
    """The time of the next turn, on the clock of `ITimeoutService`."""
    due = refusals.due
    if not disk.hangs:
        due = min(due, core.next_deadline(), epochs.due, turns.deadline)
        hold_ends = in_flight.hold_ends
        if hold_ends is not None and hold_ends > now:
            due = min(due, hold_ends)
    look_at = disk.due
    if look_at is not None:
        due = min(due, look_at)
    due = max(now + 0.001, due)
    wait_ends = pacing.wait_ends
    if wait_ends is not None and wait_ends > now and intake.queue:
        due = min(due, wait_ends)
    if outbox.due is not None:
        due = min(due, outbox.due)
    return due
