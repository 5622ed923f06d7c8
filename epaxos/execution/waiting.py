"""Committed instances that wait for execution, and components of them (`components.py`)."""

from __future__ import annotations

from operator import attrgetter

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = ["Component", "WaitingInstance"]


class WaitingInstance:
    """One committed instance that has not been executed.

    `rank`: its place inside a component: by slot, then by replica.
    `grounded`: every instance in `deps` is committed, so its edges can be computed.
    `executed`: `run` has returned it; edges to it no longer count.
    `component`: the strongly connected component that it belongs to, as far as it is known; None until its
    edges are followed.  `waiters`: the components that wait for this instance.
    """

    __slots__ = ("batch", "component", "deps", "executed", "grounded", "id", "indexed", "rank", "waiters")

    def __init__(self, id: InstanceId, batch: Batch, deps: Deps) -> None:
        self.id = id
        self.rank = id.slot * len(deps) + id.replica
        self.batch = batch
        self.deps = deps
        self.grounded = False
        self.indexed = False
        self.executed = False
        self.component: Component | None = None
        self.waiters: list[Component] | None = None

    def __repr__(self) -> str:
        state = "executed" if self.executed else "grounded" if self.grounded else "committed"
        return f"<WaitingInstance {self.id} {state} {self.deps}>"


class Component:
    """Instances that are known to reach each other.

    `edges`: targets that were not examined yet, the next one last; `waits_for`: the target that has to run
    first; `merged`: the component that this one was merged into; `shortcut`: a component further along the
    chain of waits, valid until that one is executed.
    """

    __slots__ = ("edges", "executed", "members", "merged", "shortcut", "waits_for")

    def __init__(self, instance: WaitingInstance, edges: list[WaitingInstance]) -> None:
        self.members = [instance]
        self.edges = edges
        self.waits_for: WaitingInstance | None = None
        self.merged: Component | None = None
        self.shortcut: Component | None = None
        self.executed = False

    def resume(self) -> None:
        """The instance that it waited for has been executed."""
        self.waits_for = None
        self.shortcut = None

    def finish(self) -> list[WaitingInstance]:
        """Its members in their order, to be executed now.  The component keeps nothing."""
        members = sorted(self.members, key=attrgetter("rank"))
        self.executed = True
        self.members = []
        self.shortcut = None
        return members
