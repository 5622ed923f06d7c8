"""Forgetting: what every member has durably executed is dropped (docs: protocol/forgetting)."""

from __future__ import annotations

from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import Deps, no_deps

__all__ = ["Forgetting"]

FORGOTTEN_AFTER = 5
"""Where equal answers make the fast path, keys are forgotten this many heartbeats after the floor passed
their instances.  From then on each vote names these instances, and equals D0 only when the command leader's
floor has passed them too."""
FORGOTTEN_AT_ONCE = 1000
"""Slots that are forgotten in one turn, at most.  They take about 3 ms, with the work of the store."""


class Forgetting:
    """How far each member has durably executed each row, and the floor that follows from it."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._executed_at = [no_deps(state.epoch)] * state.n
        self._floors = (no_deps(state.epoch),) * FORGOTTEN_AFTER
        self._left = FORGOTTEN_AT_ONCE
        self.has_more = False
        """Whether the floor may rise further, in the next turn."""

    def restore(self, executed: Deps) -> None:
        """Restore after a restart: this replica has durably executed everything up to `executed`.

        Every member has executed everything up to the floor, which was restored before, whether it is
        silent now or not.  If the floor fell, new proposals would no longer name what was forgotten.
        """
        state = self._state
        self._executed_at = [state.table.floor] * state.n
        self._executed_at[state.id] = executed

    @property
    def executed(self) -> Deps:
        """For each row, the slot up to which this replica has durably executed everything."""
        return self._executed_at[self._state.id]

    def on_executed(self, executed: Deps) -> None:
        """This replica has durably executed everything up to `executed`."""
        self._executed_at[self._state.id] = executed
        self.forget()

    def on_executed_at(self, replica: int, executed: Deps) -> None:
        """`replica` has durably executed everything up to `executed`, or further if it told so before."""
        self._executed_at[replica] = tuple(map(max, self._executed_at[replica], executed))
        self.forget()

    def on_turn(self) -> None:
        """A new turn begins: forget the next slots of a floor that rises by many."""
        self._left = FORGOTTEN_AT_ONCE
        if self.has_more:
            self.forget()

    def on_heartbeat_sent(self) -> None:
        """Forget the keys of instances that have been below the floor for FORGOTTEN_AFTER heartbeats."""
        state = self._state
        state.index.forget(self._floors[0])
        self._floors = (*self._floors[1:], state.table.floor)

    def forget(self) -> None:
        """Drop what every member has durably executed, from memory and from disk.

        At most FORGOTTEN_AT_ONCE slots go in one turn.
        """
        state = self._state
        wanted = tuple(map(min, *self._executed_at)) if state.n > 1 else self._executed_at[0]
        old = state.table.floor
        floor = list(old)
        for row in range(state.n):
            step = min(wanted[row] - old[row], self._left)
            self._left -= step
            floor[row] += step
        risen = tuple(floor)
        self.has_more = risen != wanted
        if risen != old:
            self._raise_floor(risen)

    def _raise_floor(self, floor: Deps) -> None:
        state = self._state
        dropped = state.table.forget(floor)
        output = state.output
        output.dropped.extend(dropped)
        output.floor = floor
        if state.quorums.named:  # answers need not be equal: see FORGOTTEN_AFTER
            state.index.forget(floor)
        for id in dropped:
            output.instances.pop(id, None)
        if output.batches:
            output.batches = [(id, batch) for id, batch in output.batches if not state.table.is_forgotten(id)]
