"""Visits every state that a model can reach, breadth first, and judges each decision on the way.

A state of the cluster consists of the state of each replica, the messages that were sent, the decisions
so far, the instance that carries each command, and the recoveries and crashes that may still come.
Messages form a set.  With `duplicates` it only grows: a message may arrive at any time, any number of
times, or never, which covers loss, doubling and every reordering.  Without `duplicates` a message leaves
the set when it arrives.

A crash and the restart after it are one step, because a replica that is down only gets nothing for a
while.  For the same reason a final crash needs no step: runs in which a replica does nothing after some
time are among the runs.  No replica suspects another, but the consequences of suspicion, waits that end
and recoveries that start, happen at any time.

Two reductions lose nothing:

- The arrival of a message that changes nothing is left out: it leads to the same state.  Without
  duplicates a message that stays under way may do all that one which arrived without effect can, and more.
- A message that can have no effect any more (`ModelReplicas.judge`) leaves the set, so that states
  which differ only in such messages are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from epaxos.protocol.memory.interference import interferes
from epaxos.protocol.values.ids import InstanceId, is_in
from epaxos.protocol.values.messages import NOP
from epaxos.verify.models.model import Model
from epaxos.verify.models.model_replica import Decision
from epaxos.verify.models.model_replicas import Event, Kind, ModelReplicas, Step
from epaxos.verify.trace import describe_fields

__all__ = ["Explorer", "Move", "State", "Violation", "breach", "shown"]


class State(NamedTuple):
    """A state of the cluster.  `replicas` and `decisions` are numbers that stand for states and sets."""

    replicas: tuple[int, ...]
    messages: int
    decisions: int
    carriers: tuple[InstanceId | None, ...]
    recoveries: int
    crashes: int


class Move(NamedTuple):
    """One event that can happen in a state, and the state after it."""

    replica: int
    event: Event
    step: Step
    state: State


class Violation(Exception):
    """Agreement or Visibility does not hold after the last of `moves`."""

    def __init__(self, text: str, before: State, move: Move) -> None:
        super().__init__(text)
        self.before = before
        self.move = move


class Explorer:
    """One exploration.  `progress` is called after every 10 000 states of a layer.

    `parents` maps every state that was found to the one from which it was found.  `ends` are the states in
    which nothing is left to happen.
    """

    def __init__(self, model: Model, progress: Callable[[Explorer], None] = lambda explorer: None) -> None:
        self.model = model
        self.replicas = self._new_replicas(model)
        self.parents: dict[State, State | None] = {}
        self.ends: list[State] = []
        self.depth = 0
        self.complete = False
        self.broken: str | None = None
        self._commands = model.commands
        self._recoverers = range(model.n) if model.recoverers is None else model.recoverers
        self._crashing = frozenset(filter(model.may_crash, range(model.n)))
        self._duplicates = model.duplicates
        self._forgets_idle = model.forgets_idle
        self._progress = progress
        self._decided: list[frozenset[Decision]] = [frozenset()]
        self._numbers: dict[frozenset[Decision], int] = {frozenset(): 0}
        self._merged: dict[tuple[int, tuple[Decision, ...]], int] = {}

    def _new_replicas(self, model: Any) -> ModelReplicas:
        return ModelReplicas(model)

    # -- the search

    def run(self) -> None:
        """Visit every state within the bounds.  Raises Violation at the first decision that breaks a rule.

        The run that leads there is as short as any, because the search goes breadth first.
        """
        layer = [self._first()]
        self.parents[layer[0]] = None
        limit = self.model.steps
        while layer and (limit is None or self.depth < limit):
            layer = self._next(layer)
            self.depth += 1
        self.complete = not layer

    def _first(self) -> State:
        model = self.model
        nobody = (None,) * len(model.commands)
        return State(self.replicas.first(), 0, 0, nobody, model.recoveries, model.crashes)

    def _next(self, layer: list[State]) -> list[State]:
        parents = self.parents
        found = []
        for count, state in enumerate(layer):
            if count % 10_000 == 0:
                self._progress(self)
            last = True
            for move in self.moves_of(state):
                if self.broken is not None:
                    raise Violation(self.broken, state, move)
                if move.state != state:
                    last = False
                if move.state not in parents:
                    parents[move.state] = state
                    found.append(move.state)
            if last:
                self.ends.append(state)
        return found

    def moves_of(self, state: State) -> Iterator[Move]:
        """Every event that can happen in the state and changes it."""
        replicas, hurries = self.replicas, self.model.hurries
        for replica, number in enumerate(state.replicas):
            messages = state.messages & replicas.to[replica] & ~replicas.inert[number]
            while messages:
                lowest = messages & -messages
                messages ^= lowest
                left = state if self._duplicates else state._replace(messages=state.messages ^ lowest)
                if (move := self.move(left, replica, number, lowest.bit_length() - 1)) is not None:
                    yield move
            if hurries and (move := self.move(state, replica, number, Kind.HURRY)) is not None:
                yield move
            if replicas.unsynced[number] and (move := self.move(state, replica, number, Kind.SYNC)):
                yield move
            if None in state.carriers:
                yield from self._proposals(state, replica, number)
            if state.recoveries:
                yield from self._recoveries(state, replica, number)
            if state.crashes and replica in self._crashing:
                less = state._replace(crashes=state.crashes - 1)
                if (move := self.move(less, replica, number, Kind.REBOOT)) is not None:
                    yield move

    def _proposals(self, state: State, replica: int, number: int) -> Iterator[Move]:
        for at, (proposer, batch) in enumerate(self._commands):
            if proposer == replica and state.carriers[at] is None:
                move = self.move(state, replica, number, batch)
                if move is not None:
                    carriers = (*state.carriers[:at], move.step.proposed, *state.carriers[at + 1 :])
                    yield move._replace(state=move.state._replace(carriers=carriers))

    def _recoveries(self, state: State, replica: int, number: int) -> Iterator[Move]:
        if replica in self._recoverers:
            less = state._replace(recoveries=state.recoveries - 1)
            for id in state.carriers:
                if id is not None and id not in self.replicas.decided[number] and self._may_recover(id):
                    move = self.move(less, replica, number, id)
                    if move is not None:
                        yield move

    def _may_recover(self, id: InstanceId) -> bool:
        recovered = self.model.recovered
        return recovered is None or id.replica in recovered

    def move(self, state: State, replica: int, number: int, event: Event) -> Move | None:
        """The event at the replica; None if it changes nothing there and the replica sends nothing new."""
        replicas = self.replicas
        step = replicas.step(number, event)
        reached, sent, decided, _ = step
        messages = state.messages
        new = sent & ~messages
        if reached == number and not new:
            return None
        numbers = (*state.replicas[:replica], reached, *state.replicas[replica + 1 :])
        messages |= new
        replicas.judge(reached, messages & replicas.to[replica])
        idle = replicas.idle[reached]
        if new:
            for other, there in enumerate(numbers):
                if arriving := new & replicas.to[other]:
                    replicas.judge(there, arriving)
                    idle |= replicas.idle[there]
        if self._forgets_idle:
            messages &= ~idle
        decisions = self._decide(state.decisions, decided) if decided else state.decisions
        after = State(numbers, messages, decisions, state.carriers, state.recoveries, state.crashes)
        return Move(replica, event, step, after)

    # -- the rules

    def _decide(self, number: int, new: tuple[Decision, ...]) -> int:
        merged = self._merged.get((number, new))
        if merged is None:
            decided = self._decided[number]
            for decision in new:
                self.broken = self.broken or self._breach(decision, decided)
                decided |= {decision}
            merged = self._numbers.setdefault(decided, len(self._decided))
            if merged == len(self._decided):
                self._decided.append(decided)
            self._merged[number, new] = merged
        return merged

    def _breach(self, new: Decision, decided: frozenset[Decision]) -> str | None:
        return breach(new, decided)

    def describe(self, decision: Decision) -> str:
        """The decision as text for people."""
        return f"decides {shown(decision)}"

    def describe_message(self, message: Any) -> str:
        """The message as text for people."""
        return describe_fields(message)

    def outcomes(self) -> frozenset[frozenset[Decision]]:
        """Every set of decisions that some run has reached."""
        return frozenset(self._decided)


def breach(new: Decision, decided: Iterable[Decision]) -> str | None:
    """How the new decision breaks Agreement or Visibility; None if it does not."""
    for old in decided:
        if old.id == new.id:
            if old != new:
                return f"Agreement: {new.id} is decided as {shown(old)} and as {shown(new)}"
        elif _interfere(old, new) and not (is_in(old.id, new.deps) or is_in(new.id, old.deps)):
            return f"Visibility: {shown(old)} and {shown(new)}, and neither names the other"
    return None


def _interfere(a: Decision, b: Decision) -> bool:
    return a.batch is not NOP and b.batch is not NOP and interferes(a.batch, b.batch)


def shown(decision: Decision) -> str:
    """The decision as text."""
    batch = decision.batch
    command = "NOP" if batch is NOP else "R" if batch.successor is not None else batch.payload.decode()
    return f"{decision.id}={command}{decision.deps}"
