"""The models that `make models` explores.  docs: testing/models tells what they cover and what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import PreAccept, PreAcceptOK, Waiting
from epaxos.verify.models.model import Envelope, Model
from epaxos.verify.models.model_replica import naming, with_equal_answers
from epaxos.verify.models.turn_catalogue import TURN_MODELS

__all__ = ["MODELS"]

_LEADERS = frozenset({0, 1})
_FIRST, _SECOND, _THIRD = frozenset({0}), frozenset({1}), frozenset({2})


def _row(envelope: Envelope) -> int | None:
    """The row of the instance that the message belongs to; None if it belongs to none."""
    id: InstanceId | None = getattr(envelope.message, "id", None)
    return None if id is None else id.replica


def _cut_off_leaders(envelope: Envelope) -> bool:
    """Of five, the two leaders receive only the votes on their proposals, and send only these proposals.

    So they have as good as crashed for the three others, which find out by recovery what may have been
    decided in one round trip.  Every quorum is all three.
    """
    sender, dest, message, _ = envelope
    if dest in _LEADERS:
        return not isinstance(message, PreAcceptOK) or message.id.replica != dest
    return sender in _LEADERS and not isinstance(message, PreAccept)


def _one_quorum_each(envelope: Envelope) -> bool:
    """Of five, R0 and R1 vote for R0's proposal, and R2, R3 and R4 for R2's, which may be decided at once.

    R2 receives and sends nothing else.  R0, R1 and R4 recover the former, R0, R3 and R4 the latter, and R3
    receives the Waiting of the other recovery.
    """
    sender, dest, message, _ = envelope
    row = _row(envelope)
    if isinstance(message, PreAccept):
        return (row, dest) not in {(0, 1), (2, 3), (2, 4)}
    if isinstance(message, PreAcceptOK):
        return row != 2
    if isinstance(message, Waiting) and dest == 3:
        return False
    quorum = {0, 1, 4} if row == 0 else {0, 3, 4}
    return not {sender, dest} <= quorum


def _two_know_of_each(envelope: Envelope) -> bool:
    """R0 receives nothing about its own proposal, neither votes nor decisions, and R2 nothing about R1's.

    So R1 and R2 have to recover the former without R0, which votes for the latter.
    """
    return (envelope.dest, _row(envelope)) in {(0, 0), (2, 1)}


def _under_both_rules(*models: Model) -> Iterator[Model]:
    """Each model twice: with a fast quorum that the leader names, and with any n-e equal answers."""
    for model in models:
        yield model
        yield replace(model, name=f"{model.name}, equal answers", new=with_equal_answers)


_ONE = Model("one command", 3, (0,))
_TWO = replace(_ONE, name="two commands", proposers=(0, 1))
_ONE_RECOVERY = replace(_TWO, name="one recovery", recoveries=1)
_FIRST_BY_THIRD = replace(
    _ONE_RECOVERY, name="the third recovers the first", recovered=_FIRST, recoverers=_THIRD
)
_FORGETFUL = replace(_FIRST_BY_THIRD, crashes=1, crashing=_FIRST, syncs=False)
_FIVE = Model("", 5, (0, 1), recoverers=_THIRD, lost=_cut_off_leaders)

_ALL = (
    *_under_both_rules(
        _TWO,
        replace(_TWO, name="three commands", proposers=(0, 1, 2)),
        _ONE_RECOVERY,
    ),
    replace(_ONE_RECOVERY, name="one recovery, leaders name each other", new=naming({0: 1, 1: 0})),
    replace(_ONE_RECOVERY, name="one recovery, leaders name the third", new=naming({0: 2, 1: 2})),
    replace(_ONE_RECOVERY, name="one recovery, the one before is named", new=naming({0: 2, 1: 0})),
    replace(_ONE_RECOVERY, name="one recovery, nothing twice", duplicates=False),
    *_under_both_rules(
        replace(_ONE, name="one command, two recoveries", recoveries=2),
        _FIRST_BY_THIRD,
        replace(_TWO, name="two recoveries at one", recoveries=2, recoverers=_THIRD),
        replace(_FIRST_BY_THIRD, name="two recover the first", recoveries=2, recoverers=_SECOND | _THIRD),
        replace(_TWO, name="crash", crashes=1),
        replace(_FIRST_BY_THIRD, name="leader crashes, is recovered", crashes=1, crashing=_FIRST),
        replace(_FIRST_BY_THIRD, name="voter crashes, recovery", crashes=1, crashing=_SECOND),
        replace(_FIRST_BY_THIRD, name="recoverer crashes", crashes=1, crashing=_THIRD),
        replace(_ONE_RECOVERY, name="crash and recovery", crashes=1),
        replace(_ONE, name="one command, unsynced crash", crashes=1, recoveries=1, syncs=False),
        replace(_TWO, name="unsynced crash", crashes=1, syncs=False),
        replace(_FORGETFUL, name="leader forgets its proposal", lost=_two_know_of_each),
    ),
    replace(
        _FORGETFUL,
        name="leader forgets, the one before is named",
        new=naming({0: 2, 1: 0}),
        lost=_two_know_of_each,
    ),
    replace(_FORGETFUL, name="leader forgets, all is heard", new=naming({0: 2, 1: 0})),
    *_under_both_rules(replace(_ONE_RECOVERY, name="three commands, one recovery", proposers=(0, 1, 2))),
    replace(_ONE, name="four replicas, one command, one recovery", n=4, recoveries=1),
    replace(_FIRST_BY_THIRD, name="four replicas, third recovers the first", n=4),
    replace(_FIVE, name="five, leaders gone, one recovery", recoveries=1, recovered=_FIRST),
    replace(_FIVE, name="five, leaders gone, both recovered", recoveries=2),
    replace(
        _FIVE,
        name="five, one leader gone, both recovered",
        proposers=(0, 2),
        recoveries=2,
        recoverers=frozenset({1, 3}),
        lost=_one_quorum_each,
    ),
)

MODELS: Mapping[str, Model] = {model.name: model for model in (*_ALL, *TURN_MODELS)}
"""By name, in the order in which they are explored."""
