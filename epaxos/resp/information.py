"""What `INFO` shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from typing import Any

import epaxos
from epaxos.interfaces import IClients
from epaxos.resp.commands.spec import REDIS_VERSION
from epaxos.resp.interfaces import IListeners
from epaxos.resp.limits import RespLimits
from epaxos.resp.process_facts import ProcessFacts, human
from epaxos.resp.register import Register
from epaxos.resp.session import Kind
from epaxos.resp.statistics import Commandstats
from epaxos.resp.tracking.tracking import Tracking
from epaxos.resp.traffic import Traffic

__all__ = ["Information"]


class Information:
    """The sections of `INFO`, measured when a client asks.  No field is shown that is not true here.

    `about()` gives further fields for the section `Server`.
    """

    def __init__(
        self,
        clients: IClients,
        limits: RespLimits,
        traffic: Traffic,
        stats: Commandstats,
        register: Register,
        blocked: Sized,
        about: Callable[[], Mapping[str, object]],
        seconds: Callable[[], float],
        listeners: IListeners,
        tracking: Tracking,
    ) -> None:
        self._clients = clients
        self._limits = limits
        self._traffic = traffic
        self._stats = stats
        self._register = register
        self._blocked = blocked
        self._about = about
        self._listeners = listeners
        self._tracking = tracking
        self.process = ProcessFacts(seconds)

    def sections(self, tcp_port: int) -> Mapping[str, Mapping[str, Any]]:
        """All sections by their titles, for a client that came to `tcp_port`."""
        return {
            "Server": {
                "redis_version": REDIS_VERSION,
                "redis_mode": "standalone",
                "epaxos_version": epaxos.__version__,
                "tcp_port": tcp_port,
                **self.process.server(),
                **self._about(),
            },
            "Clients": {
                "connected_clients": len(self._register.connections),
                "maxclients": self._limits.clients_max,
                "blocked_clients": len(self._blocked),
                "tracking_clients": len(self._tracking),
            },
            "Memory": self._memory(),
            "Persistence": {"loading": 0},
            "Stats": {
                "total_connections_received": self._traffic.connections_received,
                "total_commands_processed": self._traffic.commands_processed,
                "rejected_connections": self._traffic.connections_rejected,
                "evicted_keys": 0 if (use := self._clients.memory()) is None else use.evicted,
                "pubsub_channels": self._listeners.number(Kind.CHANNEL),
                "pubsub_patterns": self._listeners.number(Kind.PATTERN),
                "pubsubshard_channels": self._listeners.number(Kind.SHARD),
                "tracking_total_keys": len(self._tracking.table),
                "tracking_total_items": self._tracking.table.places,
                "tracking_total_prefixes": len(self._tracking.prefixes),
            },
            "Replication": {"role": "master", "connected_slaves": 0},
            "CPU": self.process.cpu(),
            "Commandstats": dict(self._stats.fields()),
            "Cluster": {"cluster_enabled": 0},
            "Keyspace": {
                f"db{number}": f"keys={keys},expires={expires},avg_ttl=0"
                for number, (keys, expires) in sorted(self._clients.keyspace().items())
            },
        }

    def _memory(self) -> Mapping[str, Any]:
        """Where there is a bound, `used_memory` is what the keys take, because the bound is theirs."""
        fields: dict[str, Any] = {**self.process.memory(), "maxmemory": 0, "maxmemory_human": human(0)}
        use = self._clients.memory()
        if use is not None:
            if use.used_bytes is not None:
                fields["used_memory"] = fields["used_memory_dataset"] = use.used_bytes
                fields["used_memory_human"] = human(use.used_bytes)
            fields["maxmemory"], fields["maxmemory_human"] = use.bytes_max, human(use.bytes_max)
        fields["maxmemory_policy"] = "noeviction" if use is None else use.settings["maxmemory-policy"]
        return fields
