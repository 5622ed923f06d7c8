"""The mutants that the models have to find: those of the simulator, and a few more; and how one is found."""

from __future__ import annotations

from collections.abc import Mapping

from epaxos.protocol.coordinators.fast_path import judge_named
from epaxos.protocol.coordinators.proposal import Proposals
from epaxos.verify.models.explorer import Explorer, Violation
from epaxos.verify.models.story import tell
from epaxos.verify.models.turning_replica import TurningReplica
from epaxos.verify.mutants import catalogue
from epaxos.verify.mutants.mutation import Edit, Mutant

__all__ = ["MUTANTS", "story"]

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

_TURNS = (
    Mutant(
        "repeated after an installation",
        "T4: who leaves an epoch by T8 repeats nothing",
        (
            Edit(
                TurningReplica.install,
                (
                    (
                        "        return self._restart()",
                        """\
        begun = list(self._in_flight._by_instance.values())
        self._restart()
        self._intake.queue += [each for bundle in begun for each in bundle.submissions]
        return self._settle(Effects())""",
                    ),
                ),
            ),
        ),
    ),
)

MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for mutant in (*catalogue.MUTANTS, *_NAMED, *_TURNS)}
"""By name."""


def story(mutant: str, explorer: Explorer) -> list[str]:
    """The run that breaks a rule; without the bodies of messages.  The last line says which rule."""
    with MUTANTS[mutant].applied():
        try:
            explorer.run()
        except Violation as violation:
            lines = tell(explorer, violation.before, violation.move)
            return [line for line in lines if "─> " not in line] + [str(violation)]
    raise AssertionError(f"{mutant} is not found in {len(explorer.parents)} states")
