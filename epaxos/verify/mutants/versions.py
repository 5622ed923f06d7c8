"""The mutants of rules about versions (docs: protocol/epochs, "Versions")."""

from __future__ import annotations

from epaxos.node.versions import Versions
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.verify.mutants.mutation import Edit, Mutant

__all__ = ["VERSIONS"]

VERSIONS = (
    Mutant(
        "raised though one is old",
        "R raises the version to what all members are known to be able to do",
        (Edit(Versions.best, (("min(map(self.of, ones))", "max(map(self.of, ones))"),)),),
        3,
        "upgrade",
    ),
    Mutant(
        "what is newer than the cluster",
        "what is newer than the version of the epoch is not proposed",
        (Edit(KeyValueStore.check, (("if self._version < VERSION:", "if False:"),)),),
        3,
        "upgrade",
    ),
)
