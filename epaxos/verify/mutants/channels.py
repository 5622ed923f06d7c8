"""The mutants of rules about channels (docs: using/publish-subscribe)."""

from __future__ import annotations

from epaxos.statemachines.redis.commands import COMMANDS
from epaxos.statemachines.redis.spec import Keys, Touched
from epaxos.verify.mutants.mutation import Entry, Mutant

__all__ = ["CHANNELS"]

CHANNELS = (
    Mutant(
        "PUBLISH names no channel",
        "PUBLISH writes the name of its channel",
        (
            Entry(
                COMMANDS,
                b"PUBLISH",
                COMMANDS[b"PUBLISH"]._replace(keys=Keys.NONE, find=lambda command: Touched()),
            ),
        ),
        3,
        "channels",
    ),
)
