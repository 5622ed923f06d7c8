"""The models of turns that `make models` explores (docs: testing/models)."""

from __future__ import annotations

from dataclasses import replace

from epaxos.verify.models.model import Envelope
from epaxos.verify.models.turn_model import TurnModel

__all__ = ["TURN_MODELS"]

_FIRST, _SECOND, _THIRD = frozenset({0}), frozenset({1}), frozenset({2})


def _deaf_in_epoch_0(envelope: Envelope) -> bool:
    """R2 hears nothing of epoch 0."""
    return envelope.dest == 2 and envelope.epoch == 0


_WAITS = TurnModel("turn", 3, (0,), turners=(1,))
_ONE = replace(_WAITS, hurries=False)
_TWO_ENDINGS = replace(_ONE, name="turn, two endings", turners=(1, 2))
_CRASH = replace(_ONE, name="turn, unsynced crash", crashes=1, syncs=False)
_INSTALLS = replace(_WAITS, name="turn, the third installs", installers=_THIRD)

TURN_MODELS = (
    _WAITS,
    replace(_WAITS, name="turn, the third recovers R", recoveries=1, recoverers=_THIRD, recovered=_SECOND),
    replace(_WAITS, name="turn, the third recovers it", recoveries=1, recoverers=_THIRD, recovered=_FIRST),
    replace(_ONE, name="turn, two commands", proposers=(0, 2)),
    replace(_ONE, name="turn, two commands, one recovery", proposers=(0, 2), recoveries=1),
    replace(_ONE, name="turn, two of one, one recovery", proposers=(0, 0), recoveries=1),
    _TWO_ENDINGS,
    replace(_TWO_ENDINGS, name="turn, two endings, one recovery", recoveries=1),
    replace(_TWO_ENDINGS, name="turn, two endings, two at one", recoveries=2, recoverers=_FIRST),
    replace(_TWO_ENDINGS, name="turn, two endings, crash", crashes=1, crashing=_SECOND, syncs=False),
    replace(_TWO_ENDINGS, name="turn, two endings, installs", installers=_THIRD),
    _CRASH,
    replace(_CRASH, name="turn, leader forgets, one recovery", crashing=_FIRST, recoveries=1),
    replace(_CRASH, name="turn, R is forgotten, one recovery", crashing=_SECOND, recoveries=1),
    replace(_INSTALLS, name="turn, the deaf one installs", lost=_deaf_in_epoch_0),
    _INSTALLS,
    replace(_INSTALLS, name="turn, installs, one recovery", hurries=False, recoveries=1),
    replace(
        _INSTALLS,
        name="turn, installs, unsynced crash",
        hurries=False,
        crashes=1,
        crashing=_THIRD,
        syncs=False,
    ),
    replace(
        _INSTALLS,
        name="turn, any installs, one recovery",
        hurries=False,
        installers=_FIRST | _SECOND | _THIRD,
        recoveries=1,
    ),
)
"""In the order in which they are explored."""
