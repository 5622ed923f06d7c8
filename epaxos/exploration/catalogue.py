"""The models that `make models` explores.  docs/testing.md tells what they cover and what came out."""

from __future__ import annotations

from epaxos.exploration.model import Envelope, Model
from epaxos.protocol.messages import AcceptOK, Commit, PreAcceptOK

__all__ = ["MODELS"]

_LEADERS = frozenset({0, 1})


def _leaders_only_count(envelope: Envelope) -> bool:
    """With five: the two leaders hear the votes on their proposals and nothing else, and nobody else
    hears what they decide.  So they are as good as crashed for the three others, which have to find
    out by recovery, and whose every quorum is all three of them."""
    sender, dest, message = envelope
    if dest in _LEADERS:
        return not isinstance(message, (PreAcceptOK, AcceptOK)) or message.id.replica != dest
    return sender in _LEADERS and isinstance(message, Commit)


MODELS = (
    Model("two commands", 3, (0, 1)),
    Model("three commands", 3, (0, 1, 2)),
    Model("one recovery", 3, (0, 1), recoveries=1),
    Model("one recovery, nothing twice", 3, (0, 1), recoveries=1, duplicates=False),
    Model("two recoveries at one", 3, (0, 1), recoveries=2, recoverers=frozenset({2})),
    Model("two recoveries of one", 3, (0, 1), recoveries=2, recovered=frozenset({0})),
    Model("crash", 3, (0, 1), crashes=1),
    Model("crash and recovery", 3, (0, 1), crashes=1, recoveries=1),
    Model("crash between send and sync", 3, (0, 1), crashes=1, syncs=False),
    Model("three commands, one recovery", 3, (0, 1, 2), recoveries=1),
    Model("five", 5, (0, 1), recoveries=1, recoverers=frozenset({2}), lost=_leaders_only_count),
    Model(
        "five, two recoveries", 5, (0, 1), recoveries=2, recoverers=frozenset({2}), lost=_leaders_only_count
    ),
)
