"""Decides when and in which order committed instances run (docs: protocol/rules, "Execution").

An instance passes three gates.  It is *grounded* when everything in its D is committed; until then it is
parked under one slot that is missing.  If everything in its D is executed, as in the steady state, the
instance runs.  Otherwise its edges are followed (`conflicts`, `components`).

The results depend on nothing but the sequence of calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf
from operator import attrgetter, le

from zope.interface import implementer

from epaxos.execution.components import follow
from epaxos.execution.conflicts import Conflicts
from epaxos.execution.frontier import Frontier
from epaxos.execution.waiting import Component, WaitingInstance
from epaxos.interfaces import IExecutor
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch

__all__ = ["Executor"]

STEPS_PER_RESULT = 4
"""With a limit of k, `run` returns after this many times k looks at instances, unless it found nothing."""


@implementer(IExecutor)
class Executor:
    """The executor of one replica in `epoch`.

    Raises ValueError for an epoch without members.
    """

    def __init__(self, epoch: Epoch) -> None:
        n = self._n = epoch.n
        if n < 1:
            raise ValueError("an epoch has at least one member")
        self._committed = Frontier(epoch)
        self._executed = Frontier(epoch)
        self._waiting: list[dict[int, WaitingInstance]] = [{} for _ in range(n)]
        self._parked: list[dict[int, list[WaitingInstance]]] = [{} for _ in range(n)]
        self._grounded: deque[WaitingInstance] = deque()  # not examined
        self._second: list[WaitingInstance] = []  # examined once, in vain
        self._searched: list[WaitingInstance] = []  # the same, sorted; the next one is last
        self._resumed: list[Component] = []
        self._conflicts = Conflicts(self._waiting)
        self._pristine = True

    @property
    def committed(self) -> Deps:
        """Per row, the slot up to which everything is committed here, or was executed before a restart."""
        return self._committed.deps

    @property
    def executed(self) -> Deps:
        """Per row, the slot up to which everything has been executed."""
        return self._executed.deps

    @property
    def waiting(self) -> int:
        """How many instances are committed and not executed."""
        return sum(map(len, self._waiting))

    @property
    def busy(self) -> bool:
        """Whether `run` has an instance to examine."""
        return bool(self._grounded or self._second or self._searched or self._resumed)

    def executed_beyond(self) -> tuple[InstanceId, ...]:
        """The instances above `executed` that have been executed, sorted."""
        return self._executed.beyond()

    def restore(self, executed: Deps, beyond: Iterable[InstanceId]) -> None:
        """Restore the frontier of a checkpoint, once, before any commit.

        Raises ValueError when it is called later or twice, and when `executed` or `beyond` cannot be of
        this epoch."""
        if not self._pristine:
            raise ValueError("an executor is restored once, and before anything is committed")
        beyond = tuple(beyond)
        if len(executed) != self._n or any(mark < 0 for mark in executed):
            raise ValueError(f"{executed} is no frontier of {self._n} rows")
        for id in beyond:
            self._check_id(id)
        self._pristine = False
        self._committed.restore(executed, beyond)
        self._executed.restore(executed, beyond)

    def commit(self, id: InstanceId, batch: Batch, deps: Deps) -> None:
        """`id` is decided; NOP is the batch that does nothing.  A second commit of an instance is ignored.

        Raises ValueError when `id` or `deps` cannot be of this epoch.
        """
        self._check_id(id)
        row, slot = id
        if len(deps) != self._n or deps[row] >= slot:
            raise ValueError(f"{deps} cannot be the dependencies of {id} in a cluster of {self._n}")
        self._pristine = False
        before = self._committed.marks[row]
        if not self._committed.add(row, slot):
            return
        instance = WaitingInstance(id, batch, deps)
        self._waiting[row][slot] = instance
        self._ground(instance)
        if self._parked[row]:
            self._release(row, before, self._committed.marks[row])

    def run(self, limit: int | None = None) -> list[tuple[InstanceId, Batch]]:
        """The instances that may be applied now, in order.  From now on they count as executed.

        NOPs are executed but not returned.  With a `limit` the result is about as long, because instances
        that depend on each other are not separated; the next call returns the rest.  An empty result means
        that nothing can be applied now.  Raises ValueError for a limit below 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"at least one instance must be allowed to run, not {limit}")
        results: list[tuple[InstanceId, Batch]] = []
        results_max = inf if limit is None else limit
        steps_left = results_max * STEPS_PER_RESULT
        while len(results) < results_max and (steps_left > 0 or not results):
            steps_left -= 1
            if self._resumed:
                self._follow(self._resumed.pop(), results)
            elif self._grounded:
                self._look_at(self._grounded.popleft(), results)
            elif self._next_to_search():
                self._search(self._searched.pop(), results)
            else:
                break
        return results

    # -- the first gate: everything in D is committed

    def _ground(self, instance: WaitingInstance) -> None:
        """Queue `instance` for execution, or park it under one slot of its D that is not committed."""
        for row, (needed, mark) in enumerate(zip(instance.deps, self._committed.marks)):
            if needed > mark:
                self._parked[row].setdefault(needed, []).append(instance)
                return
        instance.grounded = True
        self._grounded.append(instance)

    def _release(self, row: int, before: int, mark: int) -> None:
        """The committed prefix of `row` has grown from `before` to `mark`."""
        parked = self._parked[row]
        for slot in range(before + 1, mark + 1):
            for instance in parked.pop(slot, ()):
                self._ground(instance)

    # -- the second: everything in D is executed

    def _look_at(self, instance: WaitingInstance, results: list[tuple[InstanceId, Batch]]) -> None:
        if all(map(le, instance.deps, self._executed.marks)):
            self._execute(instance, results)
        else:
            self._second.append(instance)

    def _next_to_search(self) -> bool:
        """Whether instances are left that were examined in vain.  Sorts them first.

        The order decides only how much work there is: after a gap is closed or a replica has restarted, most
        waiting instances find, in execution order, that everything before them has run.
        """
        if not self._searched:
            self._second.sort(key=attrgetter("rank"), reverse=True)
            self._searched, self._second = self._second, self._searched
        return bool(self._searched)

    # -- the third: everything that can be reached is grounded

    def _search(self, instance: WaitingInstance, results: list[tuple[InstanceId, Batch]]) -> None:
        """Run `instance`, or make it wait for the first instance that has to run before it."""
        executed = self._executed.marks
        edges: list[WaitingInstance] = []
        if not all(map(le, instance.deps, executed)):
            edges = self._conflicts.edges(instance, executed)
        if edges:
            instance.component = Component(instance, edges)
            self._follow(instance.component, results)
        else:
            self._execute(instance, results)

    def _follow(self, component: Component, results: list[tuple[InstanceId, Batch]]) -> None:
        complete = follow(component)
        if complete is not None:
            for instance in complete.finish():
                self._execute(instance, results)

    def _execute(self, instance: WaitingInstance, results: list[tuple[InstanceId, Batch]]) -> None:
        row, slot = instance.id
        instance.executed = True
        self._executed.add(row, slot)
        del self._waiting[row][slot]
        if instance.indexed:
            self._conflicts.remove(instance)
        if instance.batch is not NOP:
            results.append((instance.id, instance.batch))
            instance.batch = NOP  # other instances may still refer to this one, and must not keep its payload
        if instance.waiters is not None:
            for component in instance.waiters:
                if component.waits_for is instance:  # it was not merged with this one meanwhile
                    component.resume()
                    self._resumed.append(component)
            instance.waiters = None

    def _check_id(self, id: InstanceId) -> None:
        row, slot = id
        if not 0 <= row < self._n or slot < 1:
            raise ValueError(f"{row}.{slot} cannot be an instance of a cluster of {self._n}")
