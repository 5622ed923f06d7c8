"""A run of a model as text for people, step by step."""

from __future__ import annotations

from collections.abc import Iterator

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Accept, Batch, Message, PreAccept
from epaxos.verify.models.explorer import Explorer, Move, State
from epaxos.verify.models.model import NOBODY
from epaxos.verify.models.model_replicas import Kind

__all__ = ["tell"]

_WORDS = {
    Kind.HURRY: "no longer waits for answers",
    Kind.SYNC: "has its oldest write on disk",
    Kind.REBOOT: "crashes, and restarts from its disk",
}


def tell(explorer: Explorer, state: State, last: Move | None = None) -> list[str]:
    """The lines of the run that led to the state, followed by `last`, the move that broke a rule."""
    moves = [] if last is None else [last]
    while (before := explorer.parents[state]) is not None:
        moves.append(_between(explorer, before, state))
        state = before
    moves.reverse()
    lines = []
    for number, move in enumerate(moves, 1):
        lines.append(f"{number:3}. R{move.replica} {_event(explorer, move)}")
        lines += (f"       {line}" for line in _outcome(explorer, move))
    return lines


def _between(explorer: Explorer, before: State, after: State) -> Move:
    return next(move for move in explorer.moves_of(before) if move.state == after)


def _event(explorer: Explorer, move: Move) -> str:
    event = move.event
    if isinstance(event, int):
        sender, _, message, epoch = explorer.replicas.envelopes[event]
        came = "<─" if sender == NOBODY else f"<─ R{sender}"
        return f"{came} {_of(epoch)}{explorer.describe_message(message)}"
    if isinstance(event, InstanceId):
        asks_again = any(isinstance(message, (PreAccept, Accept)) for message in _sent(explorer, move))
        return f"sends {event} again" if asks_again else f"recovers {event}"
    if isinstance(event, Batch):
        name = "the next epoch" if event.successor is not None else event.payload.decode()
        id = move.step.proposed
        return f"proposes {name} as {id}" if id is not None and id.slot else f"is asked for {name}"
    return _WORDS[event]


def _sent(explorer: Explorer, move: Move) -> Iterator[Message]:
    for bit, envelope in enumerate(explorer.replicas.envelopes):
        if move.step.sent >> bit & 1:
            yield envelope.message


def _outcome(explorer: Explorer, move: Move) -> Iterator[str]:
    replicas = explorer.replicas
    sent: dict[str, list[int]] = {}
    for bit, (_, dest, message, epoch) in enumerate(replicas.envelopes):
        if move.step.sent >> bit & 1:
            sent.setdefault(_of(epoch) + explorer.describe_message(message), []).append(dest)
    for text, dests in sent.items():
        yield f"─> {' '.join(f'R{dest}' for dest in dests)} {text}"
    for decision in move.step.decisions:
        yield explorer.describe(decision)


def _of(epoch: int) -> str:
    return f"epoch {epoch}: " if epoch else ""
