"""Explores the models in which the epoch turns, and judges what happens (docs: protocol/epochs).

- Agreement and Visibility hold within each epoch.
- There is one successor: every replica that ends epoch 0 ends it with the same instance, and in the same
  state S_0.
- All replicas run the same commands in the same order, each once: what has run at one replica is a
  beginning of what has run at another one; in epoch 0 a beginning of S_0, and in epoch 1 a continuation.
  So what is void has no effect in epoch 0, and runs once if it is proposed again (T4).
- What is acknowledged in epoch 0 is in S_0.
- Who claims instances holds them, in its present epoch and in the one that it has closed (T6, T8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from epaxos.verify.models.explorer import Explorer, Move, State, breach, shown
from epaxos.verify.models.model_replica import Decision
from epaxos.verify.models.turn_model import Acknowledged, Broken, Decided, GivenState, Opened, Ran
from epaxos.verify.models.turning_replicas import TurningReplicas

__all__ = ["TurnExplorer"]


class TurnExplorer(Explorer):
    """One exploration of a `TurnModel`.  What is decided, judged and told are the facts of `turn_model`."""

    replicas: TurningReplicas

    def _new_replicas(self, model: Any) -> TurningReplicas:
        return TurningReplicas(model)

    def _recoveries(self, state: State, replica: int, number: int) -> Iterator[Move]:
        if replica in self._recoverers:
            less = state._replace(recoveries=state.recoveries - 1)
            for id in self.replicas.open[number]:
                if self._may_recover(id):
                    move = self.move(less, replica, number, id)
                    if move is not None:
                        yield move

    def _breach(self, new: Any, decided: Iterable[Any]) -> str | None:
        if isinstance(new, Broken):
            return new.text
        if isinstance(new, Ran) and len(set(new.applied)) < len(new.applied):
            return f"Once: {' '.join(new.applied)} have run, one of them twice"
        if isinstance(new, Decided):
            same = (old for old in decided if isinstance(old, Decided) and old.epoch == new.epoch)
            return breach(_decision(new), map(_decision, same))
        texts = [text for old in decided if (text := _conflict(new, old) or _conflict(old, new))]
        return min(texts, default=None)  # of several the same one in every run

    def describe(self, fact: Any) -> str:
        """The fact as text for people."""
        if isinstance(fact, Decided):
            return f"decides {shown(_decision(fact))} in epoch {fact.epoch}"
        if isinstance(fact, Ran):
            return f"has run in epoch {fact.epoch}: {_list(fact.applied)}"
        if isinstance(fact, Opened):
            return f"ends epoch 0 with {fact.by} after: {_list(fact.applied)}"
        if isinstance(fact, Acknowledged):
            return f"acknowledges {fact.command} in epoch {fact.epoch}"
        return str(fact.text)

    def describe_message(self, message: Any) -> str:
        """The message as text for people."""
        if isinstance(message, GivenState):
            return f"State after: {_list(message.applied)}"
        return super().describe_message(message)


def _decision(fact: Decided) -> Decision:
    return Decision(fact.id, fact.batch, fact.deps)


def _list(applied: tuple[str, ...]) -> str:
    return " ".join(applied) or "nothing"


def _conflict(a: Any, b: Any) -> str | None:
    """How two facts that are not decisions contradict each other; None if they do not.  Order matters."""
    if isinstance(a, Ran) and isinstance(b, Ran):
        if not _begins(a.applied, b.applied) and not _begins(b.applied, a.applied):
            return f"Order: {_list(a.applied)} have run at one replica, and {_list(b.applied)} at another"
    elif isinstance(a, Opened) and isinstance(b, Opened):
        if a != b:
            return (
                f"Successor: epoch 0 ended with {a.by} after {_list(a.applied)}, and with {b.by} after"
                f" {_list(b.applied)}"
            )
    elif isinstance(a, Ran) and isinstance(b, Opened):
        first, second = (b.applied, a.applied) if a.epoch else (a.applied, b.applied)
        if not _begins(first, second):
            return f"Void: {_list(a.applied)} have run in epoch {a.epoch}, and S_0 is {_list(b.applied)}"
    elif isinstance(a, Acknowledged) and isinstance(b, Opened):  # noqa: SIM102
        if a.epoch == 0 and a.command not in b.applied:
            return f"Acknowledged: {a.command}, and S_0 is {_list(b.applied)}"
    return None


def _begins(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return second[: len(first)] == first
