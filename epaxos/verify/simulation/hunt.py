"""Hunts a machine from a test: `self.assertEqual(hunt(Locks, range(50)), [])`."""

from __future__ import annotations

from collections.abc import Iterable

from epaxos.machines import Machine
from epaxos.verify.simulation.components import Components
from epaxos.verify.simulation.own_machine import MachineSubject
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate

__all__ = ["hunt"]


def hunt(machine: type[Machine], seeds: Iterable[int], n: int | None = None) -> list[str]:
    """Run one simulated cluster of replicas of this machine for each seed, up to the first that fails.

    Returns the violations of that one, the seed before each; none when nothing was found.  `n`: the number
    of replicas; by default the seed decides.
    """
    components = Components(subject=MachineSubject(machine))
    for seed in seeds:
        result = simulate(Plan.of(seed, n), components=components)
        if result.failed:
            return [f"seed {seed}: {violation}" for violation in result.violations]
    return []
