"""The connected clients: who is let in, and who is cut off when all together hold too much."""

from __future__ import annotations

from typing import Any

from epaxos.net.quiet_log import Complaints
from epaxos.resp.holding import Holdings
from epaxos.resp.interfaces import IClientConnection
from epaxos.resp.limits import RespLimits
from epaxos.resp.traffic import Traffic

__all__ = ["Register"]


class Register:
    """All connections that are open, by the ids of their clients."""

    def __init__(self, limits: RespLimits, traffic: Traffic, complaints: Complaints) -> None:
        self._limits = limits
        self._traffic = traffic
        self._complaints = complaints
        self.holdings = Holdings()
        self.connections: dict[int, IClientConnection] = {}

    def admit(self, connection: IClientConnection, wire: Any) -> bool:
        """Add the connection over `wire`.  False when there is no room for it."""
        limits = self._limits
        descriptor = getattr(wire, "fileno", int)()
        if limits.descriptor_max is not None and descriptor >= limits.descriptor_max:
            why = (
                f"clients may use only {limits.descriptor_max} of the open files that RLIMIT_NOFILE allows;"
                " the replica needs the others"
            )
        elif len(self.connections) >= limits.clients_max:
            why = f"{limits.clients_max} clients are connected"
        else:
            self._traffic.connections_received += 1
            self.connections[connection.session.client_id] = connection
            return True
        self._traffic.connections_rejected += 1
        self._complaints.warn("a client is refused", why)
        return False

    def forget(self, connection: IClientConnection) -> None:
        """The connection is lost."""
        self.connections.pop(connection.session.client_id, None)

    def relieve(self) -> None:
        """Cut off the clients that hold the most, until all together hold no more than they may."""
        while self.holdings.total_bytes > self._limits.clients_bytes_max:
            connection = max(self.connections.values(), key=_held_bytes, default=None)
            held_bytes = 0 if connection is None else _held_bytes(connection)
            if connection is None or not held_bytes:
                return
            mib = held_bytes / 1048576
            connection.cut_off(
                f"it holds {mib:.0f} MiB, and all clients together more than clients_bytes_max"
            )


def _held_bytes(connection: IClientConnection) -> int:
    return connection.pipeline.account.held_bytes
