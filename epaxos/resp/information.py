"""What `INFO` shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import epaxos
from epaxos.interfaces import IClients
from epaxos.resp.commands.spec import REDIS_VERSION
from epaxos.resp.limits import RespLimits
from epaxos.resp.process_facts import ProcessFacts
from epaxos.resp.register import Register
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
        register: Register,
        about: Callable[[], Mapping[str, object]],
        seconds: Callable[[], float],
    ) -> None:
        self._clients = clients
        self._limits = limits
        self._traffic = traffic
        self._register = register
        self._about = about
        self.process = ProcessFacts(seconds)

    def sections(self, tcp_port: int) -> Mapping[str, Mapping[str, Any]]:
        """All sections by their titles, for a client that came to `tcp_port`."""
        keys = self._clients.keys()
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
                "blocked_clients": 0,
                "tracking_clients": 0,
            },
            "Memory": self.process.memory(),
            "Persistence": {"loading": 0},
            "Stats": {
                "total_connections_received": self._traffic.connections_received,
                "total_commands_processed": self._traffic.commands_processed,
                "rejected_connections": self._traffic.connections_rejected,
                "expired_keys": 0,
                "evicted_keys": 0,
                "pubsub_channels": 0,
                "pubsub_patterns": 0,
            },
            "Replication": {"role": "master", "connected_slaves": 0},
            "CPU": self.process.cpu(),
            "Cluster": {"cluster_enabled": 0},
            "Keyspace": {"db0": f"keys={keys},expires=0,avg_ttl=0"} if keys else {},
        }
