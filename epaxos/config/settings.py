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
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from epaxos.config.kinds import (
    CLIENT_ENDPOINT,
    FILE,
    FOLDER,
    NAME,
    PASSWORD,
    PEER_CLIENT_ENDPOINT,
    PEER_ENDPOINT,
    SERVER_ENDPOINT,
    YES_OR_NO,
    Kind,
    Number,
    OneOf,
)
from epaxos.protocol.values.timing import Timing

__all__ = [
    "EMBEDDED_REPLICA",
    "REPLICA",
    "SECTIONS",
    "Batch",
    "Cluster",
    "Limits",
    "ReplicaConfig",
    "Section",
    "Security",
    "Setting",
    "Storage",
]


class Setting(NamedTuple):
    """One setting.  `sentence` says what it sets; `more` is for those who want to change it.

    The value of a setting that `is_secret` is shown to nobody, not even in an error.
    """

    kind: Kind
    sentence: str
    more: str = ""
    default: Any = MISSING
    is_required: bool = False
    is_secret: bool = False


class Section(NamedTuple):
    """One section of the file: its settings in the order of the file, and the class that holds them."""

    name: str
    sentence: str
    holder: type
    settings: Mapping[str, Setting]


def _seconds(low: float, high: float) -> Number:
    return Number(float(low), float(high), "seconds")


def _setting(default: Any, kind: Kind, sentence: str, more: str = "") -> Any:
    """A field with this default."""
    return field(default=default, metadata={"setting": Setting(kind, sentence, more, default)})


def _secret(kind: Kind, sentence: str, more: str = "") -> Any:
    """A field for a text that nobody is shown, empty by default."""
    setting = Setting(kind, sentence, more, "", is_secret=True)
    return field(default="", repr=False, metadata={"setting": setting})


def _no_default(kind: Kind, sentence: str, more: str = "", *, is_required: bool = True) -> Any:
    """A field without a default."""
    return field(metadata={"setting": Setting(kind, sentence, more, is_required=is_required)})


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
    )
    bytes_max: int = _setting(
        1_000_000,
        Number(1_000, 30_000_000, "bytes"),
        "The most bytes of commands in one instance.",
        "Commands that one client sent together stay together, so an instance may carry more.",
    )
    window: int = _setting(
        16,
        Number(1, 10_000, "instances"),
        "The most instances that one replica has in flight.",
        "Commands that arrive meanwhile make the next batches larger.",
    )


@dataclass(frozen=True)
class Limits:
    """`[limits]`: what bounds the time and the memory that others can make a replica spend."""

    request_timeout_s: float = _setting(
        5.0,
        _seconds(0.1, 3600),
        "A client whose commands no quorum answers within this time gets an error.",
    )
    clients_max: int = _setting(
        10_000,
        Number(1, 1_000_000, "clients"),
        "The most clients that may be connected to one replica; further ones are refused.",
    )
    clients_bytes_max: int = _setting(
        1_073_741_824,
        Number(1_000_000, 1_000_000_000_000, "bytes"),
        "The most bytes that all clients together may make one replica hold.",
        "Long commands that have not arrived completely or are in flight count, and replies that clients have"
        " not taken.  Beyond it, the client that holds the most is disconnected.",
    )
    client_keepalive_s: int = _setting(
        300,
        Number(0, 32_767, "whole seconds"),
        "TCP asks a silent client this often whether it is still there; 0: never.",
        "After three questions without an answer its connection is closed.",
    )
    client_timeout_s: float = _setting(
        0.0,
        _seconds(0, 31_536_000),
        "A client that sends nothing, takes nothing and waits for nothing for this time is disconnected;"
        " 0: never.",
    )
    command_bytes_max: int = _setting(
        16_000_000,
        Number(1_000, 30_000_000, "bytes"),
        "The most bytes of one command; a longer one is refused.",
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
    )
    keep_bytes: int = _setting(
        268_435_456,
        Number(16_777_216, 1_000_000_000_000, "bytes"),
        "The same for the memory that these instances take.",
    )
    session_timeout_s: float = _setting(
        604_800.0,
        _seconds(1, 31_536_000),
        "A session of EPAXOS ONCE that is not used for this time is ended.",
        "It is judged by the clocks of the hosts, which must not differ by as much as this.",
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
class Security:
    """`[security]`: whom a replica serves and talks to, and how they prove who they are."""

    protected_mode: bool = _setting(
        True,
        YES_OR_NO,
        "Whether a replica without requirepass refuses every client that is not on its own host.",
        "Clients of the host come by loopback or a Unix socket.  It holds for GET /status, too.",
    )
    requirepass: str = _secret(
        PASSWORD,
        "The password that clients have to give, by AUTH or HELLO, and GET /status by HTTP basic"
        " authentication.",
        "Let only the user of the replica read a file with a password.  Spaces at its ends do not count.",
    )
    peer_tls: bool = _setting(
        False,
        YES_OR_NO,
        "Whether replicas prove to each other who they are, by TLS with certificates of both sides.",
        "Only with transport = tcp, the same on all replicas, and with pip install 'epaxos[tls]'.",
    )
    ca: str = _setting(
        "ca.pem",
        FILE,
        "With peer_tls, the certificates of the issuers whose certificates are accepted, one or more in PEM.",
        "Relative to the folder of this file, as certificate and key are.",
    )
    certificate: str = _setting(
        "{id}.pem",
        FILE,
        "With peer_tls, the certificate of the replica in PEM; behind it those between it and the issuer.",
        "In the path, {id} stands for the number of the replica.  The certificate has the URI"
        " epaxos://CLUSTER/NUMBER among its subjectAltNames.",
    )
    key: str = _setting(
        "{id}.key",
        FILE,
        "With peer_tls, the private key of the certificate in PEM, not encrypted.",
        "In the path, {id} stands for the number of the replica.",
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
        "Not needed when `client` is tcp:PORT on the host that `peer_connect` names, or unix:PATH.",
        is_required=False,
    )
    status_connect: str = _no_default(CLIENT_ENDPOINT, "The same for `status`.", is_required=False)
    data: Path = _no_default(  # noqa: RUF009  # it is a field
        FOLDER,
        "The folder of its data, which is made when it is missing.",
        "Relative to the folder of this file, and never shared with another replica.",
    )


def _of(name: str, holder: type) -> Section:
    """The section whose settings are declared as fields of `holder`."""
    sentence = (holder.__doc__ or "").partition("\n")[0].partition(": ")[2]
    settings = {each.name: each.metadata.get("setting") for each in dataclasses.fields(holder)}
    return Section(
        name,
        sentence[:1].upper() + sentence[1:],
        holder,
        {key: setting for key, setting in settings.items() if setting is not None},
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
