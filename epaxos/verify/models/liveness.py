"""Whether a run that has come to its end can still be taken to a decision.

A model bounds the number of recoveries, so a run may end with undecided instances.  In the product some
replica tries again, sooner or later.  This has to help while a slow quorum is alive: when the others are
silent, all messages among the survivors arrive, and one survivor after another recovers what is undecided,
then each comes to hold a decision of all that was proposed.  A state for which this fails is stuck: the
cause is a rule, not a bound.

It is enough to check the ends of runs.  Every state of a model leads to an end, because ballots, phases,
votes and messages only grow, and each crash leaves one less to come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.quorums import Quorums
from epaxos.verify.models.explorer import Explorer, Move, State

__all__ = ["stuck"]

TURNS = 3
"""How often each replica recovers.  Of replicas that overtook each other the last has the highest ballot."""


def stuck(explorer: Explorer) -> Iterator[State | None]:
    """For each state in which the exploration ended: the state when it is stuck, else None."""
    n = explorer.model.n
    survivors = [tuple(range(n)), *combinations(range(n), Quorums.of(Epoch.first(n)).slow)]
    continuations = [_Continuations(explorer, alive) for alive in survivors]
    for state in explorer.ends:
        yield None if all(found.decide(state) for found in continuations) else state


class _Continuations:
    """How runs continue while only the replicas in `alive` take part."""

    def __init__(self, explorer: Explorer, alive: Collection[int]) -> None:
        self._explorer = explorer
        self._alive = alive
        self._settled: dict[State, State] = {}
        self._decide: dict[State, bool] = {}

    def decide(self, state: State) -> bool:
        """Whether everything that was proposed gets decided without breaking a rule."""
        state = self._settle(state._replace(recoveries=0, crashes=0))
        decided = self._decide.get(state)
        if decided is None:
            decided = self._decide[state] = self._recover(state)
        return decided

    def _recover(self, state: State) -> bool:
        """Let all survivors recover in turn, until nothing is left to recover."""
        ids = [id for id in state.carriers if id is not None]
        for replica in (*self._alive,) * TURNS:
            for id in ids:
                state = self._recover_at(state, replica, id)
            if all(self._is_decided(state, other, id) for other in self._alive for id in ids):
                return self._explorer.broken is None
        return False

    def _is_decided(self, state: State, replica: int, id: InstanceId) -> bool:
        return id in self._explorer.replicas.decided[state.replicas[replica]]

    def _recover_at(self, state: State, replica: int, id: InstanceId) -> State:
        if self._is_decided(state, replica, id):
            return state
        move = self._explorer.move(state, replica, state.replicas[replica], id)
        return state if move is None else self._settle(move.state)

    def _settle(self, state: State) -> State:
        """Let all messages arrive, all writes become durable, and all waits for the fast path end."""
        passed = []
        while (settled := self._settled.get(state)) is None:
            passed.append(state)
            move = self._next(state)
            if move is None:
                settled = state
                break
            state = move.state
        self._settled.update(dict.fromkeys(passed, settled))
        return settled

    def _next(self, state: State) -> Move | None:
        return next(
            (
                move
                for move in self._explorer.moves_of(state)
                if move.replica in self._alive and isinstance(move.event, (int, str)) and move.state != state
            ),
            None,
        )
