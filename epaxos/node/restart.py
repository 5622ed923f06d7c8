"""Restores a replica from what its store held when it was opened."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from epaxos.interfaces import IExecutor, IRestoresInParts, IStateMachine, Restored, StoreError
from epaxos.node.versions import Versions
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.membership import FIRST_VERSION

__all__ = ["restore"]

_log = Logger()


def restore(
    id: int,
    restored: Restored,
    machine: IStateMachine,
    versions: Versions,
    executor: IExecutor,
    core: Replica,
    now: Callable[[], float],
) -> None:
    """Restore the state machine, the executor and the core of replica `id`.  Blocks.

    Raises StoreError when the store cannot read its data, or the state machine cannot apply it.
    """
    _restore_state(restored, machine, versions)
    executor.restore(restored.executed, restored.beyond)
    core.tick(now())
    core.restore(
        reserved=restored.reserved,
        floor=restored.floor,
        executed=restored.executed,
        instances=(Instance.restore(record, batch) for record, batch in restored.records),
    )
    if not restored.fresh:
        _log.info(
            "replica {id} goes on from its disk: epoch {epoch}, executed up to slots {executed}, {instances}"
            " instances kept",
            id=id,
            epoch=0 if restored.opened is None else restored.opened.membership.number,
            executed=restored.executed,
            instances=len(core.table),
        )


def _restore_state(restored: Restored, machine: IStateMachine, versions: Versions) -> None:
    versions.tell(FIRST_VERSION)
    ready = versions.replayed(restored.batches)
    try:
        if IRestoresInParts.providedBy(machine):
            machine.restore_in_parts(restored.base, ready)
        else:
            entries: dict[bytes, bytes] = {}
            for part in restored.base:
                entries.update(part)
            machine.restore(entries, ready)
    except ValueError as why:
        raise StoreError(f"what was executed cannot be applied again: {why}") from None
    versions.tell(FIRST_VERSION if restored.founded is None else restored.founded.version)
