"""What `GET /status` shows of a replica.

It answers at once.  A digest of the state is made only for those who ask for it, because that takes a second
for a million keys, and ten times that under full load.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed

from epaxos.interfaces import Identity, IStore, ITransport
from epaxos.node.applier import Applier
from epaxos.node.cluster_clock import ClusterClock
from epaxos.node.digest import StateDigest
from epaxos.node.intake import Intake
from epaxos.node.reads import Reads
from epaxos.protocol.replica import Replica

__all__ = ["Status"]


class Status:
    """A view of one replica as a whole, and the digest of its state at the same moment for those who ask.

    `entries()`: the whole state.  `epoch()`: what is shown of the epoch.  `members()`: their numbers, by row.
    """

    def __init__(
        self,
        identity: Identity,
        core: Replica,
        intake: Intake,
        reads: Reads,
        applier: Applier,
        store: IStore,
        transport: ITransport,
        digest: StateDigest,
        entries: Callable[[], Iterable[tuple[bytes, bytes]]],
        epoch: Callable[[], dict[str, Any]],
        members: Callable[[], Sequence[int]],
        clock: ClusterClock,
    ) -> None:
        self._clock = clock
        self._members = members
        self._epoch = epoch
        self._identity = identity
        self._digest = digest
        self._entries = entries
        self._core = core
        self._intake = intake
        self._reads = reads
        self._applier = applier
        self._store = store
        self._transport = transport

    def move(self, core: Replica) -> None:
        """The next epoch begins."""
        self._core = core

    def members_up(self) -> Collection[int]:
        """See `IClients.members_up`."""
        return [id for row, id in enumerate(self._members()) if self._is_up(row, id)]

    def with_digest(self) -> Deferred[dict[str, Any]]:
        """As `get`, with the digest.  While a batch is applied in part, wait until it is whole."""
        whole = self._applier.when_whole()
        return self._with_digest(None) if whole is None else whole.addCallback(self._with_digest)

    def _with_digest(self, _: None) -> Deferred[dict[str, Any]]:
        fields = self.get()
        if not self._applier.running:
            return succeed(fields)
        digest = self._digest.of(self._applier.commands_applied, self._entries)
        return digest.addCallback(partial(_added, fields))

    def get(self) -> dict[str, Any]:
        """See `IClients.status`; without the digest."""
        core = self._core
        return {
            "id": self._identity.replica,
            "cluster": self._identity.cluster,
            "state_machine": self._identity.state_machine,
            "members": [{"id": id, "up": self._is_up(row, id)} for row, id in enumerate(self._members())],
            "epoch": self._epoch(),
            "clock": self._clock.status(),
            "next_slot": core.next_slot,
            "committed": list(core.table.committed),
            "executed": list(self._applier.applied_up_to()),
            "running": self._applier.running,
            "digest": None,
            "counters": {
                "fast_path": core.counters.fast_path,
                "slow_path": core.counters.slow_path,
                "recovered": core.counters.recovered,
                "commands_executed": self._applier.commands_applied,
                "commands_read": self._reads.commands_read,
                "commands_queued": self._intake.commands,
                "instances_in_flight": core.in_flight,
                "instances_held": len(core.table),
                "bytes_held": core.holding.bytes(),
                "instances_waiting": self._applier.waiting,
                "recoveries": core.recoveries,
                **self._store.counters(),
                **self._transport.counters(),
            },
        }

    def _is_up(self, row: int, id: int) -> bool:
        return id == self._identity.replica or (
            self._transport.is_connected(id) and not self._core.suspects(row)
        )


def _added(fields: dict[str, Any], digest: str) -> dict[str, Any]:
    return {**fields, "digest": digest}
