"""The mutants that the models have to find: those of the simulator, and a few of a named fast quorum."""

from __future__ import annotations

from collections.abc import Mapping

from epaxos.protocol.coordinators.fast_path import judge_named
from epaxos.protocol.coordinators.proposal import Proposals
from epaxos.verify.mutants import catalogue
from epaxos.verify.mutants.mutation import Edit, Mutant

__all__ = ["MUTANTS"]

_NAMED = (
    Mutant(
        "another's answer",
        "the fast path of a named quorum: the answers of those that were named",
        (
            Edit(
                judge_named,
                (
                    (
                        "quorum = (leader, *named)",
                        "quorum = (leader, *named) if len(answers) <= len(named) else tuple(answers)",
                    ),
                ),
            ),
        ),
    ),
    Mutant(
        "another is named",
        "when PreAccept is sent again, S is the same",
        (
            Edit(
                Proposals._ask_again,
                (
                    (
                        "instance.init_deps, instance.fast_quorum)",
                        "instance.init_deps, tuple(set(state.others) - set(instance.fast_quorum)))",
                    ),
                ),
            ),
        ),
    ),
)

MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for mutant in (*catalogue.MUTANTS, *_NAMED)}
"""By name."""
