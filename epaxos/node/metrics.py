"""What a replica measures of consensus, disk and network: the numbers of `GET /status`, and times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from epaxos.interfaces.metrics import Definition, Kind, Metric, Sample
from epaxos.node.step_times import StepTimes

__all__ = ["DEFINITIONS", "metrics_of"]

_Status = Mapping[str, Any]
_Read = Callable[[_Status], Sequence[Sample]]

STEPS = Definition(
    "epaxos_step_seconds",
    Kind.HISTOGRAM,
    "Time that commands of this replica's clients take in each step (waiting for their proposal, quorum,"
    " execution), and that synced writes take (disk)",
    ("step",),
)


def _one(path: str) -> _Read:
    """The sample at `path` of the status; none where there is nothing."""
    names = path.split(".")

    def read(status: _Status) -> Sequence[Sample]:
        value: Any = status
        for name in names:
            value = value.get(name) if value is not None else None
        return () if value is None else [((), float(value))]

    return read


def _counters(**labels: str) -> _Read:
    """For each of these labels the counter of the status that is named."""

    def read(status: _Status) -> Sequence[Sample]:
        counters = status["counters"]
        return [((label,), counters[name]) for label, name in labels.items() if name in counters]

    return read


def _rows(name: str) -> _Read:
    return lambda status: [((str(row),), slot) for row, slot in enumerate(status[name])]


def _members(status: _Status) -> Sequence[Sample]:
    return [((str(member["id"]),), member["up"]) for member in status["members"]]


def _about(status: _Status) -> Sequence[Sample]:
    return [((status["cluster"], str(status["id"]), status["state_machine"]), 1)]


def _is_behind(status: _Status) -> Sequence[Sample]:
    return [((), status["epoch"]["behind"] is not None)]


_TABLE: Sequence[tuple[Definition, _Read]] = [
    (Definition(name, kind, text, labels), read)
    for name, kind, labels, read, text in (
        ("epaxos_replica_info", Kind.GAUGE, ("cluster", "replica", "state_machine"), _about,
         "Which replica this is; always 1"),
        ("epaxos_running", Kind.GAUGE, (), _one("running"),
         "Whether the replica runs: 0 while it starts or stops"),
        ("epaxos_member_up", Kind.GAUGE, ("member",), _members,
         "Whether a member is up as seen from here"),
        ("epaxos_epoch", Kind.GAUGE, (), _one("epoch.number"), "Number of the epoch"),
        ("epaxos_epoch_version", Kind.GAUGE, (), _one("epoch.version"),
         "Version of the meaning of commands in this epoch"),
        ("epaxos_epoch_settled", Kind.GAUGE, (), _one("epoch.settled"),
         "Whether every member has opened this epoch"),
        ("epaxos_behind", Kind.GAUGE, (), _is_behind,
         "Whether the replica takes the state of another member, and serves no clients"),
        ("epaxos_behind_taken_bytes", Kind.GAUGE, (), _one("epoch.behind.taken_bytes"),
         "Bytes of that state that are here, while it is behind"),
        ("epaxos_behind_bytes", Kind.GAUGE, (), _one("epoch.behind.bytes"),
         "Bytes of the whole state, as far as it is known, while it is behind"),
        ("epaxos_clock_offset_seconds", Kind.GAUGE, (), _one("clock.offset_s"),
         "Seconds by which the clock of this host is ahead of the median of the members"),
        ("epaxos_clock_trusted", Kind.GAUGE, (), _one("clock.trusted"),
         "Whether the replica leads commands with a time"),
        ("epaxos_next_slot", Kind.GAUGE, (), _one("next_slot"),
         "Next slot of the replica's row in this epoch"),
        ("epaxos_committed_slot", Kind.GAUGE, ("row",), _rows("committed"),
         "Slot of each row up to which everything is committed here, in this epoch"),
        ("epaxos_executed_slot", Kind.GAUGE, ("row",), _rows("executed"),
         "Slot of each row up to which everything is executed here, in this epoch"),
        ("epaxos_instances_decided", Kind.COUNTER, ("path",),
         _counters(fast="fast_path", slow="slow_path", recovered="recovered"),
         "Own instances decided in one round trip (fast) or two (slow), and instances of any replica that a"
         " recovery from here has decided"),
        ("epaxos_commands_executed", Kind.COUNTER, (), _one("counters.commands_executed"),
         "Commands run here, whichever replica proposed them"),
        ("epaxos_commands_read", Kind.COUNTER, (), _one("counters.commands_read"),
         "Commands of this replica's clients that were read without an instance"),
        ("epaxos_commands_queued", Kind.GAUGE, (), _one("counters.commands_queued"),
         "Commands that wait to be proposed"),
        ("epaxos_instances_in_flight", Kind.GAUGE, (), _one("counters.instances_in_flight"),
         "Own instances that are proposed and not decided"),
        ("epaxos_instances_held", Kind.GAUGE, (), _one("counters.instances_held"),
         "Instances in memory, which some member has not executed yet"),
        ("epaxos_held_bytes", Kind.GAUGE, (), _one("counters.bytes_held"),
         "Memory of the instances that are held, about"),
        ("epaxos_instances_waiting", Kind.GAUGE, (), _one("counters.instances_waiting"),
         "Instances that are committed and not executed"),
        ("epaxos_recoveries", Kind.GAUGE, (), _one("counters.recoveries"), "Recoveries that go on now"),
        ("epaxos_store_writes", Kind.COUNTER, (), _one("counters.store_writes"), "Writes to the store"),
        ("epaxos_store_syncs", Kind.COUNTER, (), _one("counters.store_syncs"), "Writes that were synced"),
        ("epaxos_store_written_bytes", Kind.COUNTER, (), _one("counters.store_bytes"),
         "Bytes written to LevelDB and to the files of the state"),
        ("epaxos_store_queue", Kind.GAUGE, (), _one("counters.store_queue"),
         "Write sets that wait for the store"),
        ("epaxos_peer_bytes", Kind.COUNTER, ("direction",),
         _counters(sent="bytes_sent", received="bytes_received"), "Bytes between this replica and others"),
        ("epaxos_peer_dropped_messages", Kind.COUNTER, (), _one("counters.messages_dropped"),
         "Messages to other replicas that were dropped: a full queue, or no connection"),
        ("epaxos_peer_queue_bytes", Kind.GAUGE, (), _one("counters.send_queue_bytes"),
         "Bytes that wait to be sent to other replicas"),
        ("epaxos_datagrams", Kind.COUNTER, ("fate",),
         _counters(
             sent="datagrams_sent", unsent="datagrams_unsent", received="datagrams_received",
             refused="datagrams_refused", lost="datagrams_lost", doubled="datagrams_doubled",
         ),
         "Datagrams between this replica and others, with transport = udp"),
    )
]  # fmt: skip

DEFINITIONS = [STEPS, *(definition for definition, _ in _TABLE)]


def metrics_of(status: _Status, steps: StepTimes) -> Iterator[Metric]:
    """`status`: as `GET /status` shows it."""
    yield Metric(STEPS, [((name,), times) for name, times in steps.by_name().items()])
    for definition, read in _TABLE:
        yield Metric(definition, read(status))
