"""In which order committed instances run."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import Attribute, Interface

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = ["IExecutor"]


class IExecutor(Interface):
    """Decides when and in which order committed instances run (protocol.md, "Execution")."""

    executed = Attribute("Deps: per row, the slot up to which everything has been executed.")
    waiting = Attribute("int: how many instances are committed and not executed.")
    busy = Attribute("bool: whether `run` would find something to look at.")

    def commit(id: InstanceId, batch: Batch, deps: Deps) -> None:
        """`id` is decided.  `batch` is NOP when it does nothing."""

    def run(limit: int | None = None) -> list[tuple[InstanceId, Batch]]:
        """The instances that may now be applied, in order; from now on they count as executed.

        NOPs are executed but not returned.  With a limit, about so many; the rest comes with the
        next call.
        """

    def executed_beyond() -> tuple[InstanceId, ...]:
        """What has been executed above `executed`, sorted."""

    def restore(executed: Deps, beyond: Iterable[InstanceId]) -> None:
        """Take up from a checkpoint.  Called once, before any commit."""
