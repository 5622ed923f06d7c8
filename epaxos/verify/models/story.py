"""A run of a model as text for people, step by step."""

from __future__ import annotations

from collections.abc import Iterator

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Accept, Batch, Message, PreAccept
from epaxos.verify.models.explorer import Explorer, Move, State, shown
from epaxos.verify.models.model_replicas import Kind
from epaxos.verify.trace import describe_fields

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
        sender, _, message = explorer.replicas.envelopes[event]
        return f"<─ R{sender} {describe_fields(message)}"
    if isinstance(event, InstanceId):
        asks_again = any(isinstance(message, (PreAccept, Accept)) for message in _sent(explorer, move))
        return f"sends {event} again" if asks_again else f"recovers {event}"
    if isinstance(event, Batch):
        return f"proposes {event.payload.decode()} as {move.step.proposed}"
    return _WORDS[event]


def _sent(explorer: Explorer, move: Move) -> Iterator[Message]:
    for bit, envelope in enumerate(explorer.replicas.envelopes):
        if move.step.sent >> bit & 1:
            yield envelope.message


def _outcome(explorer: Explorer, move: Move) -> Iterator[str]:
    replicas = explorer.replicas
    sent: dict[str, list[int]] = {}
    for bit, (_, dest, message) in enumerate(replicas.envelopes):
        if move.step.sent >> bit & 1:
            sent.setdefault(describe_fields(message), []).append(dest)
    for text, dests in sent.items():
        yield f"─> {' '.join(f'R{dest}' for dest in dests)} {text}"
    for decision in move.step.decisions:
        yield f"decides {shown(decision)}"
