"""In which order committed instances run."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import Attribute, Interface

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = ["IExecutor"]


class IExecutor(Interface):
    """Decides when and in which order committed instances run (docs: protocol/rules, "Execution").

    Pure: the results depend on nothing but the sequence of calls.
    """

    executed = Attribute("Deps: per row, the slot up to which everything has been executed.")
    waiting = Attribute("int: how many instances are committed and not executed.")
    busy = Attribute("bool: whether `run` would find an instance to look at.")

    def commit(id: InstanceId, batch: Batch, deps: Deps) -> None:
        """`id` is decided; NOP is the batch that does nothing.  A second commit of an instance is ignored.

        Raises ValueError when `id` is no instance of this epoch, or `deps` cannot be its dependencies:
        they have another length, or name `id` or a later slot of its row.
        """

    def run(limit: int | None = None) -> list[tuple[InstanceId, Batch]]:
        """The instances that may be applied now, in order.  From now on they count as executed.

        NOPs are executed but not returned.  With a `limit` the result is about as long, because instances
        that depend on each other are not separated; the next call returns the rest.  An empty result means
        that nothing can be applied now.  Raises ValueError for a limit below 1.
        """

    def executed_beyond() -> tuple[InstanceId, ...]:
        """The instances above `executed` that have been executed, sorted."""

    def restore(executed: Deps, beyond: Iterable[InstanceId]) -> None:
        """Restore the frontier of a checkpoint, once, before the first `commit`.

        `executed` and `beyond` are what the attribute and `executed_beyond` were.  Raises ValueError when it
        is called later or twice, when `executed` has another length than the epoch has rows or a negative
        slot, and when a member of `beyond` is no instance of this epoch.
        """
