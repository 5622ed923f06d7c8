"""Makes a failing plan small by delta debugging: fewer clients, faults and operations.

The small plan fails with the same kind of violation (`kind`), because another kind is another finding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.verify.simulation.plan import Plan

__all__ = ["Shrinker", "kind"]

RUNS_MAX = 300
_KINDS = (
    "Agreement",
    "Visibility",
    "Order",
    "Digest",
    "Replies",
    "Wholeness",
    "Bounds",
    "Liveness",
    "Linearizability",
)

Fails = Callable[[Plan], bool]


def kind(violation: str) -> str:
    """The rule that a violation is about; "other" for exceptions and the like."""
    name = violation.partition(":")[0]
    return name if name in _KINDS else "other"


class Shrinker:
    """Looks for a small plan for which `fails` holds, in at most `runs_max` calls of it."""

    def __init__(self, fails: Fails, runs_max: int = RUNS_MAX) -> None:
        self._fails = fails
        self.runs_left = runs_max

    def shrink(self, plan: Plan) -> Plan:
        """The smallest failing plan that was found.  `plan` has to fail."""
        before = None
        while plan != before and self.runs_left > 0:
            before = plan
            plan = self._fewer_faults(plan)
            plan = self._fewer_clients(plan)
            plan = self._fewer_operations(plan)
        return plan

    def _still_fails(self, plan: Plan) -> bool:
        if self.runs_left <= 0:
            return False
        self.runs_left -= 1
        return self._fails(plan)

    def _fewer_faults(self, plan: Plan) -> Plan:
        names = [fault.name for fault in plan.faults]
        return plan.keep(faults=self._fewest(names, lambda kept: plan.keep(faults=kept)))

    def _fewer_clients(self, plan: Plan) -> Plan:
        names = plan.workload.clients
        return plan.keep(clients=self._fewest(names, lambda kept: plan.keep(clients=kept)))

    def _fewer_operations(self, plan: Plan) -> Plan:
        """Halve the number of operations, or take one away, as long as the plan still fails."""
        while (operations := plan.workload.operations) > 1:
            for fewer in (operations // 2, operations - 1):
                if self._still_fails(plan.keep(operations=fewer)):
                    plan = plan.keep(operations=fewer)
                    break
            else:
                break
        return plan

    def _fewest(self, names: Sequence[int], plan_of: Callable[[Sequence[int]], Plan]) -> Sequence[int]:
        """Leave out ever smaller subsets (Zeller and Hildebrandt, "Simplifying and isolating
        failure-inducing input", 2002), as long as the rest still fails."""
        names = list(names)
        size = len(names)
        while size > 0:
            start = 0
            while start < len(names):
                rest = names[:start] + names[start + size :]
                if self._still_fails(plan_of(rest)):
                    names = rest
                else:
                    start += size
            size //= 2
        return names
