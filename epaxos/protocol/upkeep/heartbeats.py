"""Heartbeats: tell the others how far this replica is, and learn how far they are.

Source: docs: protocol/catching-up, protocol/failures ("Doubled and wiped replicas").
"""

from __future__ import annotations

from epaxos.protocol.memory.state import DoubledError, ReplicaState
from epaxos.protocol.upkeep.catch_up import CatchUp
from epaxos.protocol.upkeep.forgetting import Forgetting
from epaxos.protocol.values.ids import Deps
from epaxos.protocol.values.messages import Fetch, Heartbeat

__all__ = ["Heartbeats"]

ASK_AGAIN_S = 0.05
"""Seconds after which a replica that has started asks the others again how far they are.  The time doubles
with each question, until heartbeats come as often."""


class Heartbeats:
    """Sends a Heartbeat every `heartbeat_s`, and with it does the upkeep that is due as often.

    Times are in seconds on the clock of `Replica.tick`.
    """

    def __init__(self, state: ReplicaState, forgetting: Forgetting, catch_up: CatchUp) -> None:
        self._state = state
        self._forgetting = forgetting
        self._catch_up = catch_up
        self._heartbeat_at: float | None = None
        self._unheard = set(state.others)
        self._ask_at: float | None = None
        self._ask_after_s = ASK_AGAIN_S

    def on_executed(self, executed: Deps) -> None:
        """This replica has durably executed everything up to `executed`.

        The others are told with the next turn, because they hold what not every member has executed.
        """
        if self._heartbeat_at is not None:
            self._heartbeat_at = min(self._heartbeat_at, self._state.now)
        self._forgetting.on_executed(executed)

    def next_deadline(self) -> float:
        """When `on_time` has to be called at the latest."""
        if self._heartbeat_at is None:
            return 0.0
        if self._forgetting.has_more:
            return self._state.now
        return self._heartbeat_at if self._ask_at is None else min(self._heartbeat_at, self._ask_at)

    def on_time(self) -> None:
        """Carry on with forgetting; after a start ask the others; send a heartbeat when it is due."""
        state = self._state
        self._forgetting.on_turn()
        if self._heartbeat_at is None:
            self._ask_at = state.now
        if self._ask_at is not None and state.now >= self._ask_at:
            self._ask_how_far()
        if self._heartbeat_at is not None and state.now < self._heartbeat_at:
            return
        self._heartbeat_at = state.now + state.timing.heartbeat_s
        state.send_to_others(self._heartbeat())
        self._forgetting.forget()  # a single replica hears no Heartbeat, but may have restarted
        for row in range(state.n):
            self._catch_up.look_after(row)
        self._forgetting.on_heartbeat_sent()

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(self._state.table.claimed, self._forgetting.executed)

    def _ask_how_far(self) -> None:
        """Ask each replica that was not heard yet by a Fetch of nothing, which it answers with a Heartbeat.

        So a replica that was down begins to catch up as soon as it is connected, whatever `heartbeat_s` is.
        """
        state = self._state
        self._ask_at = None
        if not self._unheard or self._ask_after_s >= state.timing.heartbeat_s:
            return
        for replica in sorted(self._unheard):
            state.send(replica, Fetch(()))
        self._ask_at = state.now + self._ask_after_s
        self._ask_after_s *= 2

    def on_fetch(self, sender: int, message: Fetch) -> None:
        """Answer a Fetch of nothing, which a replica sends that has just started."""
        if not message.ids:
            self._state.send(sender, self._heartbeat())

    def on_heartbeat(self, sender: int, message: Heartbeat) -> None:
        """Another replica tells how far it is.

        Raises DoubledError when it holds a slot of this replica's row that this replica has not used.
        """
        state = self._state
        claimed = max(message.committed[state.id], message.executed[state.id])
        if claimed > state.used_upto:
            raise DoubledError(
                f"replica {sender} holds slot {claimed} of the row of replica {state.id}, which has used"
                f" {state.used_upto}: its data was lost or replaced, or another process has its id"
            )
        self._catch_up.on_committed_at(sender, message.committed)
        self._forgetting.on_executed_at(sender, message.executed)
        if sender in self._unheard:
            self._unheard.discard(sender)
            self._catch_up.on_first_heartbeat(message.committed)
