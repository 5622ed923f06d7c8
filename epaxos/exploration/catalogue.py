"""The models that `make models` explores.  docs/testing.md tells what they cover and what came out."""

from __future__ import annotations

from collections.abc import Mapping

from epaxos.exploration.machine import naming
from epaxos.exploration.model import Envelope, Model
from epaxos.protocol.messages import PreAccept, PreAcceptOK

__all__ = ["MODELS"]

_LEADERS = frozenset({0, 1})


def _cut_off_leaders(envelope: Envelope) -> bool:
    """With five: the two leaders propose, and hear the votes on that and nothing else; nobody hears
    from them but what they propose.  So they are as good as crashed for the three others, which have to
    find out by recovery what may have been decided in one round trip; every quorum is all three."""
    sender, dest, message = envelope
    if dest in _LEADERS:
        return not isinstance(message, PreAcceptOK) or message.id.replica != dest
    return sender in _LEADERS and not isinstance(message, PreAccept)


_ALL = (
    Model("two commands", 3, (0, 1)),
    Model("three commands", 3, (0, 1, 2)),
    Model("one recovery", 3, (0, 1), recoveries=1),
    Model("one recovery, leaders name each other", 3, (0, 1), recoveries=1, new=naming({0: 1, 1: 0})),
    Model("one recovery, leaders name the third", 3, (0, 1), recoveries=1, new=naming({0: 2, 1: 2})),
    Model("one recovery, nothing twice", 3, (0, 1), recoveries=1, duplicates=False),
    Model("two recoveries at one", 3, (0, 1), recoveries=2, recoverers=frozenset({2})),
    Model("two recoveries of one", 3, (0, 1), recoveries=2, recovered=frozenset({0})),
    Model("crash", 3, (0, 1), crashes=1),
    Model("crash and recovery", 3, (0, 1), crashes=1, recoveries=1),
    Model("crash between send and sync", 3, (0, 1), crashes=1, syncs=False),
    Model("three commands, one recovery", 3, (0, 1, 2), recoveries=1),
    Model(
        "five, leaders gone, one recovery",
        5,
        (0, 1),
        recoveries=1,
        recoverers=frozenset({2}),
        recovered=frozenset({0}),
        lost=_cut_off_leaders,
    ),
    Model(
        "five, leaders gone, both recovered",
        5,
        (0, 1),
        recoveries=2,
        recoverers=frozenset({2}),
        lost=_cut_off_leaders,
    ),
)

MODELS: Mapping[str, Model] = {model.name: model for model in _ALL}
"""By name, in the order in which they are explored."""
