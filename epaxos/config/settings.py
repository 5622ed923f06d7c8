"""Every setting, declared once: its name, section, kind, bounds, default, unit, and what it sets.

A section of the configuration file is a frozen dataclass, and a setting is a field of it, so a default
stands nowhere else.  `[timing]` is the exception: its dataclass belongs to the core, which imports
nothing, so the settings of that section are listed beside it and take their defaults from its fields.

`render.py` makes `conf/cluster.ini`, docs/reference/settings.md and `twistd epaxos --help-settings` of
these declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from epaxos.config.declaring import Section, Setting
from epaxos.config.declaring import no_default as _no_default
from epaxos.config.declaring import section_of as _of
from epaxos.config.declaring import setting as _setting
from epaxos.config.kinds import (
    CLIENT_ENDPOINT,
    FOLDER,
    NAME,
    PEER_CLIENT_ENDPOINT,
    PEER_ENDPOINT,
    SERVER_ENDPOINT,
    YES_OR_NO,
    Number,
    OneOf,
)
from epaxos.config.log import Log
from epaxos.config.security import Security
from epaxos.config.slow import Slow
from epaxos.protocol.values.timing import Timing

__all__ = [
    "EMBEDDED_REPLICA",
    "REPLICA",
    "SECTIONS",
    "Batch",
    "Cluster",
    "Limits",
    "Log",
    "ReplicaConfig",
    "Section",
    "Security",
    "Setting",
    "Slow",
    "Storage",
]


def _seconds(low: float, high: float) -> Number:
    return Number(float(low), float(high), "seconds")


@dataclass(frozen=True)
class Cluster:
    """`[cluster]`: what all replicas have in common."""

    name: str = _no_default(
        NAME,
        "The name of the cluster.",
        "A replica refuses to talk to a cluster of another name, and to open its data.",
    )
    state_machine: str = _setting(
        "kv",
        NAME,
        "The state machine that runs the replicated commands: kv, the Redis-like store, or the name of a"
        " plugin.",
    )
    transport: str = _setting(
        "tcp",
        OneOf(("tcp", "udp")),
        "How replicas talk to each other: over TCP, or over UDP, without connections.",
    )


_TIMING = {
    "heartbeat_s": Setting(
        _seconds(0.01, 60), "A replica sends a heartbeat to every other replica this often."
    ),
    "suspect_after_s": Setting(
        _seconds(0.03, 3600),
        "A replica that was not heard of for this time is suspected: the others recover its instances.",
        "It must be more than twice heartbeat_s.  With transport = tcp, a replica whose process ends is"
        " suspected at once.",
    ),
    "resend_s": Setting(_seconds(0.01, 60), "A message that is not answered within this time is sent again."),
    "recover_after_s": Setting(
        _seconds(0.05, 3600),
        "An instance of a replica that is not suspected is recovered when it was not decided for this time.",
    ),
    "turn_s": Setting(
        _seconds(0.001, 60),
        "The k-th replica in line waits k times this time before it recovers an instance.",
        "The replicas take turns because two that recover one instance at a time hinder each other.",
    ),
    "backoff_max_s": Setting(
        _seconds(0.1, 3600), "The longest time between two attempts to recover one instance."
    ),
    "fast_path_wait_s": Setting(
        _seconds(0, 1),
        "How long a replica that has the answers of a majority waits for those that may still allow the"
        " fast path.",
        "With up to four replicas it is also the shortest wait before others than the nearest are asked.",
    ),
}


@dataclass(frozen=True)
class Batch:
    """`[batch]`: how a replica gathers commands into instances."""

    commands_max: int = _setting(
        1000,
        Number(1, 1_000_000, "commands"),
        "The most commands in one instance.",
        "Commands that one client sent together stay together, so an instance may carry more.",
        is_live=True,
    )
    bytes_max: int = _setting(
        1_000_000,
        Number(1_000, 30_000_000, "bytes"),
        "The most bytes of commands in one instance.",
        "Commands that one client sent together stay together, so an instance may carry more.",
        is_live=True,
    )
    window: int = _setting(
        16,
        Number(1, 10_000, "instances"),
        "The most instances that one replica has in flight.",
        "Commands that arrive meanwhile make the next batches larger.",
        is_live=True,
    )


@dataclass(frozen=True)
class Limits:
    """`[limits]`: what bounds the time and the memory that others can make a replica spend."""

    request_timeout_s: float = _setting(
        5.0,
        _seconds(0.1, 3600),
        "A client whose commands no quorum answers within this time gets an error.",
        is_live=True,
    )
    clients_max: int = _setting(
        10_000,
        Number(1, 1_000_000, "clients"),
        "The most clients that may be connected to one replica; further ones are refused.",
        is_live=True,
        redis="maxclients",
    )
    clients_bytes_max: int = _setting(
        1_073_741_824,
        Number(1_000_000, 1_000_000_000_000, "bytes"),
        "The most bytes that all clients together may make one replica hold.",
        "Long commands that have not arrived completely or are in flight count, and replies that clients have"
        " not taken.  Beyond it, the client that holds the most is disconnected.",
        is_live=True,
    )
    client_keepalive_s: int = _setting(
        300,
        Number(0, 32_767, "whole seconds"),
        "TCP asks a silent client this often whether it is still there; 0: never.",
        "After three questions without an answer its connection is closed.",
        is_live=True,
        redis="tcp-keepalive",
    )
    client_timeout_s: float = _setting(
        0.0,
        _seconds(0, 31_536_000),
        "A client that sends nothing, takes nothing and waits for nothing for this time is disconnected;"
        " 0: never.",
        is_live=True,
        redis="timeout",
    )
    command_bytes_max: int = _setting(
        16_000_000,
        Number(1_000, 30_000_000, "bytes"),
        "The most bytes of one command; a longer one is refused.",
        redis="proto-max-bulk-len",
    )
    peer_queue_bytes_max: int = _setting(
        67_108_864,
        Number(1_000_000, 4_000_000_000, "bytes"),
        "The most bytes that may wait for one other replica; more are dropped and sent again later.",
    )
    datagram_bytes_max: int = _setting(
        60_000,
        Number(1_200, 65_507, "bytes"),
        "With transport = udp, the most bytes of one datagram; the same on all replicas.",
        "A command that does not fit into one datagram is refused.  60_000 is for hosts and networks that"
        " reassemble IP fragments; 1_400 fits into one packet on almost every network.",
    )
    keep_instances: int = _setting(
        50_000,
        Number(1_000, 10_000_000, "instances"),
        "When a replica holds more instances than these, the next epoch begins, with the same members.",
        "So a member that is away does not make the others keep all that it misses: when it is back, it takes"
        " the state from another member.  With engine = memory an epoch begins only while all members are"
        " there.",
        is_live=True,
    )
    keep_bytes: int = _setting(
        268_435_456,
        Number(16_777_216, 1_000_000_000_000, "bytes"),
        "The same for the memory that these instances take.",
        is_live=True,
    )
    session_timeout_s: float = _setting(
        604_800.0,
        _seconds(1, 31_536_000),
        "A session of EPAXOS ONCE that is not used for this time is ended.",
        "It is judged by the clocks of the hosts, which must not differ by as much as this.",
    )
    clock_error_max_s: float = _setting(
        0.5,
        _seconds(0.01, 60),
        "A replica whose clock is further off the median of the members' leads no command with a time.",
        "A key lives as long as it is told to, give or take this time.  The same on all replicas.",
    )


@dataclass(frozen=True)
class Storage:
    """`[storage]`: how a replica keeps its data."""

    engine: str = _setting(
        "leveldb",
        OneOf(("leveldb", "memory")),
        "Where a replica keeps what it promised: in a database on disk, or in memory only.",
        "memory is for tests and clusters that may be lost: a replica that restarts has forgotten what it"
        " promised, so it cannot come back, and a new member must take its place.",
    )
    sync: bool = _setting(
        True,
        YES_OR_NO,
        "Whether a promise is on the disk before it is sent.",
        "no is faster, but when a host fails (not just a process) its replica may have forgotten what it"
        " promised, and a new member must take its place.",
    )
    checkpoint_s: float = _setting(
        1.0,
        _seconds(0.01, 3600),
        "The state is made durable this often, when it changed.",
        "A restart executes again whatever came after the last checkpoint.",
    )


@dataclass(frozen=True)
class ReplicaConfig:
    """`[replica N]`: member N of the cluster, with `data` as an absolute path.

    `peer_connect`, `client_connect` and `status_connect` are derived where the file does not give them; the
    last two are empty where they cannot be.
    """

    id: int
    peer: str = _no_default(PEER_ENDPOINT, "Where the replica listens for the other replicas.")
    client: str = _no_default(SERVER_ENDPOINT, "Where it listens for Redis clients.")
    client_tls: str = _no_default(
        SERVER_ENDPOINT,
        "Where it listens for Redis clients that speak TLS, such as tcp:7443:interface=ADDRESS.",
        "Beside `client`, with the files of [security] tls_certificate.  It needs pip install 'epaxos[tls]'.",
        is_required=False,
    )
    status: str = _no_default(SERVER_ENDPOINT, "Where it listens for GET /status over HTTP.")
    peer_connect: str = _no_default(
        PEER_CLIENT_ENDPOINT,
        "How the other replicas reach `peer`.",
        "Not needed when `peer` is tcp:PORT:interface=ADDRESS or unix:PATH.  With transport = udp the address"
        " is an IP address, not a name.",
        is_required=False,
    )
    client_connect: str = _no_default(
        CLIENT_ENDPOINT,
        "How `client` is reached, for epaxosctl and whoever asks for the members.",
        "Not needed when `client` is tcp:PORT on the host that `peer_connect` names, or unix:PATH."
        "  tls:HOST:PORT names `client_tls`.",
        is_required=False,
    )
    status_connect: str = _no_default(CLIENT_ENDPOINT, "The same for `status`.", is_required=False)
    data: Path = _no_default(  # noqa: RUF009  # it is a field
        FOLDER,
        "The folder of its data, which is made when it is missing.",
        "Relative to the folder of this file, and never shared with another replica.",
    )


def _timing() -> Section:
    defaults = {each.name: each.default for each in dataclasses.fields(Timing)}
    settings = {name: setting._replace(default=defaults[name]) for name, setting in _TIMING.items()}
    return Section("timing", "How long a replica waits for what.", Timing, settings)


SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        _of("cluster", Cluster),
        _timing(),
        _of("batch", Batch),
        _of("limits", Limits),
        _of("storage", Storage),
        _of("security", Security),
        _of("log", Log),
        _of("slow", Slow),
    )
}
"""The sections that each file has at most once, but for `[state_machine]`, which the state machine reads."""

REPLICA = _of("replica N", ReplicaConfig)
"""The section that each member has."""

EMBEDDED_REPLICA = REPLICA._replace(
    settings={
        key: setting._replace(is_required=setting.is_required and key not in ("client", "status"))
        for key, setting in REPLICA.settings.items()
    }
)
"""The section of a member that runs within another program, which may do without these ports."""
