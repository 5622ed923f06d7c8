"""What the client port measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from epaxos.interfaces.metrics import Definition, Kind, Metric
from epaxos.resp.shared import Shared

__all__ = ["DEFINITIONS", "metrics_of"]

_GAUGE, _COUNTER = Kind.GAUGE, Kind.COUNTER

CONNECTED = Definition("epaxos_clients", _GAUGE, "Clients that are connected")
CLIENTS_ALLOWED = Definition("epaxos_clients_max", _GAUGE, "Clients that may be connected")
HELD = Definition(
    "epaxos_clients_held_bytes",
    _GAUGE,
    "Memory of long commands and replies of clients that are under way",
)
HELD_ALLOWED = Definition("epaxos_clients_held_bytes_max", _GAUGE, "How much of it all clients may take")
RECEIVED = Definition("epaxos_connections", _COUNTER, "Connections of clients that were let in")
REJECTED = Definition("epaxos_connections_rejected", _COUNTER, "Connections of clients that were refused")
PROCESSED = Definition("epaxos_commands_received", _COUNTER, "Commands of clients of this replica")
CALLS = Definition("epaxos_command_calls", _COUNTER, "Calls of a command", ("command",))
FAILED = Definition(
    "epaxos_command_failed_calls", _COUNTER, "Calls of a command that the cluster could not run", ("command",)
)
REFUSED = Definition(
    "epaxos_command_refused_calls",
    _COUNTER,
    "Calls of a command that were refused before they ran",
    ("command",),
)
SECONDS = Definition(
    "epaxos_command_seconds",
    Kind.HISTOGRAM,
    "Time from a command to its reply, with that of agreement, by the kind of values",
    ("family",),
)
KEYS = Definition("epaxos_keys", _GAUGE, "Keys that this replica knows", ("database",))
EXPIRING = Definition("epaxos_keys_expiring", _GAUGE, "Keys with a deadline, about", ("database",))

DEFINITIONS = [
    *(CONNECTED, CLIENTS_ALLOWED, HELD, HELD_ALLOWED, RECEIVED, REJECTED, PROCESSED),
    *(CALLS, FAILED, REFUSED, SECONDS, KEYS, EXPIRING),
]


def metrics_of(server: Shared) -> Iterator[Metric]:
    """What the server of the client port has measured: see IMeasured."""
    single: Mapping[Definition, float] = {
        CONNECTED: len(server.register.connections),
        CLIENTS_ALLOWED: server.limits.clients_max,
        HELD: server.register.holdings.total_bytes,
        HELD_ALLOWED: server.limits.clients_bytes_max,
        RECEIVED: server.traffic.connections_received,
        REJECTED: server.traffic.connections_rejected,
        PROCESSED: server.traffic.commands_processed,
    }
    for definition, value in single.items():
        yield Metric(definition, [((), value)])
    counts = list(server.stats.counts())
    yield Metric(CALLS, [((name,), calls) for name, calls, _, _ in counts])
    yield Metric(FAILED, [((name,), failed) for name, _, failed, _ in counts])
    yield Metric(REFUSED, [((name,), refused) for name, _, _, refused in counts])
    yield Metric(SECONDS, [((family,), times) for family, times in server.stats.times.items()])
    keyspace = sorted(server.replica.keyspace().items())
    yield Metric(KEYS, [((str(number),), keys) for number, (keys, _) in keyspace])
    yield Metric(EXPIRING, [((str(number),), expiring) for number, (_, expiring) in keyspace])
