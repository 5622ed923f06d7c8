"""A committed instance on its way to execution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import Batch

if TYPE_CHECKING:
    from epaxos.execution.components import Component

__all__ = ["WaitingInstance"]


class WaitingInstance:
    """One committed instance that has not been executed.

    `rank`: where it stands inside a component: by slot, then by replica.
    `grounded`: every instance in `deps` is committed, so its edges can be known.
    `executed`: it has been handed out; whoever still points here lets go of it.
    `component`: the strongly connected component it belongs to as far as is known; None while
    nobody had to follow its edges.  `waiters`: the components that cannot go on before this one ran.
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
