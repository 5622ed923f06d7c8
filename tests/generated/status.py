"""docs/reference/status.md: the fields of `GET /status`.  `test_status.py` asks real replicas for theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.generated.page import page, rows

__all__ = ["BEHIND_FIELDS", "DATAGRAM_FIELDS", "FIELDS", "names_in", "status"]

FIELDS = {
    "id": "the number of this replica",
    "cluster": "the name of the cluster",
    "state_machine": "the name of the state machine",
    "members[].id": "the number of a member",
    "members[].up": "whether the member is up as seen from here: connected, and heard from within "
    "`suspect_after_s`",
    "clock.offset_s": "by how many seconds the clock of this host is ahead of the median of the members' "
    "clocks; null while those of a majority were not heard",
    "clock.trusted": "whether this replica leads commands with a time, and lets keys expire: its "
    "[clock](../concepts/expiry.md#the-cluster-clock) is off by no more than `clock_error_max_s`",
    "clock.why_not": "why it does not; null while it does",
    "next_slot": "the next slot of this replica's row; rises with each batch that it proposes",
    "committed": "for each row, the slot up to which every instance is committed here",
    "executed": "for each row, the slot up to which every instance has been executed here",
    "epoch.number": "the number of the epoch that this replica works in. `next_slot`, `committed` and "
    "`executed` are slots of this epoch, and begin again with it",
    "epoch.version": "the version of the meaning of commands that counts in this epoch "
    "([upgrade](../operating/upgrade.md))",
    "epoch.settled": "whether every member has opened this epoch, as far as this replica knows. While it is "
    "false, the epoch before is kept, until the next one begins",
    "epoch.opened_by": "row and slot of the instance that ended the epoch before; null in the first epoch",
    "epoch.behind": "null, unless this replica has missed the end of an epoch for good and takes the state "
    "of another member; until it has it, it serves no clients",
    "running": "false while the replica starts or stops",
    "digest": "null, unless it is asked for (`GET /status?digest`, `EPAXOS STATUS DIGEST`) and the replica "
    "runs: a digest of the state, in hex, equal on replicas whose states are equal. Compare it at equal "
    "`executed`. It takes a second for a million keys, and ten times that under full load",
    "counters.fast_path": "own instances that were decided in one round trip, since the start",
    "counters.slow_path": "own instances that were decided in two round trips, since the start",
    "counters.recovered": "instances, of any replica, that a recovery from here decided, since the start",
    "counters.commands_executed": "commands run here since the start, whichever replica proposed them",
    "counters.commands_read": "commands of this replica's clients that were read without an instance, "
    "since the start",
    "counters.commands_queued": "commands that wait to be proposed",
    "counters.instances_in_flight": "own instances that are proposed and not decided; at most `window`",
    "counters.instances_held": "instances in memory: what some member has not executed yet. While a "
    "member is away it rises up to `keep_instances`, and by what comes until "
    "[the turn](../operating/disk-and-memory.md#a-member-that-was-away)",
    "counters.bytes_held": "the memory that they take, about; while a member is away it rises up to "
    "`keep_bytes`, and by what comes until "
    "[the turn](../operating/disk-and-memory.md#a-member-that-was-away)",
    "counters.instances_waiting": "instances that are committed and not executed",
    "counters.recoveries": "recoveries that go on now",
    "counters.store_writes": "writes to the store, since the start",
    "counters.store_syncs": "writes that were synced, since the start",
    "counters.store_bytes": "bytes written to LevelDB and to the files of the state, since the start",
    "counters.store_queue": "write sets that wait for the store",
    "counters.bytes_sent": "bytes sent to other replicas, since the start",
    "counters.bytes_received": "bytes received from other replicas, since the start",
    "counters.messages_dropped": "messages to other replicas that were dropped, since the start: a full "
    "queue, or no "
    "connection, so it rises at a start and while a member is down",
    "counters.send_queue_bytes": "bytes that wait to be sent to other replicas",
    "program.version": "the version of the program",
    "program.uptime_s": "for how many seconds it has run",
    "program.engine": "`engine` of `[storage]`",
    "program.keep_instances": "`keep_instances` of `[limits]`",
    "program.keep_bytes": "`keep_bytes` of `[limits]`",
    "program.unsettled_s": "for how many seconds `epoch.settled` has been false; 0 while it is true",
    "host.descriptors": "files and connections that the process has open; this and what follows of the host "
    "is up to five seconds old, and null where the system does not tell it",
    "host.descriptors_max": "how many it may have open",
    "host.memory_bytes": "the memory that the process takes",
    "host.memory_available_bytes": "the memory that programs of this host can still get",
    "host.memory_total_bytes": "the memory of the host",
    "host.disk_free_bytes": "what can still be written to the disk of `data`; null with `engine = memory`",
    "host.disk_bytes": "the size of that disk",
    "certificates.peer_tls": "whether replicas prove to each other who they are",
    "certificates.ends_at": "until when the certificate of this replica is valid, in seconds since 1970, as "
    "its file says; null without `peer_tls`, and where the file cannot be read",
    "certificates.issuer_ends_at": "the same for that issuer in `ca` which ends first",
    "clients.connected": "clients that are connected; this and what follows of clients is up to a second "
    "old, and null in the first second",
    "clients.max": "how many may be",
    "clients.held_bytes": "the memory of long commands and replies that are under way",
    "clients.held_bytes_max": "how much of it all clients may take",
    "last_second.time_ms": "when the last second that was measured ended, in milliseconds since 1970; null, "
    "as all of it, until one was. In seconds: null where nothing happened",
    "last_second.received": "commands of clients of this replica",
    "last_second.executed": "commands executed, whichever replica proposed them",
    "last_second.p50_s": "the time to the reply that half of the commands needed",
    "last_second.p99_s": "the same for 99 of 100",
    "last_second.fast": "the share of own instances that were decided in one round trip",
    "last_second.disk_p99_s": "the time that 99 of 100 synced writes needed",
    "last_second.written_bytes": "bytes written to disk",
    "last_second.instances_held": "as `counters.instances_held`",
    "last_second.clients": "as `clients.connected`",
    "last_second.late_p99_s": "how late the event loop was, 99 of 100 times",
    "last_minute.disk_p50_s": "the time that half of the synced writes of the last minute needed; null where "
    "there were none",
    "last_minute.disk_p99_s": "the same for 99 of 100",
    "last_minute.late_p99_s": "how late the event loop was, 99 of 100 times",
    "warnings": "the last warnings of the log, at most five, the newest first: each the time in "
    "milliseconds since 1970, how bad it is, and the text",
}
BEHIND_FIELDS = {
    "epoch.behind.epoch": "the number of the epoch whose state it takes",
    "epoch.behind.source": "the number of the member that gives it; null while none has answered",
    "epoch.behind.taken_bytes": "the bytes that are here",
    "epoch.behind.bytes": "the bytes of the whole, as far as it is known",
}
DATAGRAM_FIELDS = {
    "counters.datagrams_sent": "datagrams sent",
    "counters.datagrams_unsent": "datagrams that this machine did not send: a full buffer, no route, a "
    "firewall",
    "counters.datagrams_received": "datagrams of other replicas that were taken",
    "counters.datagrams_refused": "datagrams that came from elsewhere, or were not what they should be",
    "counters.datagrams_lost": "datagrams of other replicas that did not come, by their numbers",
    "counters.datagrams_doubled": "datagrams of other replicas that came more than once, by their numbers",
}


def names_in(shown: Mapping[str, Any], prefix: str = "") -> set[str]:
    """The names of all fields of a status."""
    names: set[str] = set()
    for name, value in shown.items():
        if isinstance(value, dict):
            names |= names_in(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            names |= names_in(value[0], f"{prefix}{name}[].")
        else:
            names.add(prefix + name)
    return names


def status() -> str:
    """The page."""
    return page(
        "Status fields",
        "tests/generated/status.py, which real replicas are held against",
        "`GET /status` on the status port answers one JSON object. Counters begin at 0 with each start of "
        "a replica, and when it begins again with a state that it has taken. "
        "What to watch: [look at it](../operating/status.md).",
        rows(["field", "meaning"], ([f"`{name}`", text] for name, text in FIELDS.items())),
        "While `epoch.behind` is not null:",
        rows(["field", "meaning"], ([f"`{name}`", text] for name, text in BEHIND_FIELDS.items())),
        "With `transport = udp` also:",
        rows(["field", "meaning"], ([f"`{name}`", text] for name, text in DATAGRAM_FIELDS.items())),
    )
