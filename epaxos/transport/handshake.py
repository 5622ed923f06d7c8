"""The handshake: the greeting of a replica that dials, and the answer to it.

Pure: bytes in, bytes out.  The handshake alone proves nobody's identity.  It keeps apart clusters, versions,
folders and replicas that were connected by mistake: both sides introduce themselves with the uid of their
folder, and `acquaintances.py` says who is refused for it.  With `[security] peer_tls` it runs within TLS: the
certificate of each side names its member as the URI `epaxos://CLUSTER/NUMBER`.  The listener refuses a
greeting whose sender is not the member of the dialler's certificate, and the dialler takes no answer from
another member than the one that it dialled.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from epaxos.protocol.values.epoch import Epoch
from epaxos.transport.introductions import (
    Accepted,
    Introduction,
    Refusal,
    Refused,
    read_introduction,
    write_introduction,
)
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.codec import WireError

__all__ = [
    "HANDSHAKE_BYTES_MAX",
    "VERSION",
    "PeerIdentity",
    "Refused",
    "accept",
    "check_answer",
    "examine",
    "greet",
    "refuse",
]

VERSION = 1
"""The version of the wire protocol; replicas of different versions refuse each other."""

HANDSHAKE_BYTES_MAX = 1024
"""No frame of a handshake is longer."""

_PROTOCOL = "epaxos"
_CLUSTER_BYTES_MAX = 255
_REFUSAL_CHARS_MAX = 200


@dataclass(frozen=True)
class PeerIdentity:
    """One member of a cluster, in `epoch`.  Raises ValueError when it cannot be."""

    cluster: str
    replica: int
    epoch: Epoch

    def __post_init__(self) -> None:
        if not 0 < len(self.cluster.encode()) <= _CLUSTER_BYTES_MAX:
            raise ValueError(f"the name of a cluster takes 1 to {_CLUSTER_BYTES_MAX} bytes in UTF-8")
        if self.replica not in self.epoch.members:
            raise ValueError(f"there is no replica {self.replica} in a cluster of {self.epoch.n}")


def greet(identity: PeerIdentity, receiver: int, who: Introduction | None = None) -> bytes:
    """The greeting of `identity` to the replica `receiver`, which it has dialled."""
    hello = wire.Hello(
        protocol=_PROTOCOL,
        version=VERSION,
        cluster=identity.cluster,
        replicas=identity.epoch.n,
        sender=identity.replica,
        receiver=receiver,
    )
    if who is not None:
        write_introduction(who, hello.introduction)
    return hello.SerializeToString()


def examine(identity: PeerIdentity, greeting: bytes) -> tuple[int, Introduction | None]:
    """The replica that greets `identity`, and what it says of itself.

    Raises Refused, with a reason for the answer, when a replica is wrong here, and WireError when the bytes
    are no greeting.
    """
    try:
        hello = wire.Hello.FromString(greeting)
    except DecodeError:
        raise WireError("not a greeting") from None
    if hello.protocol != _PROTOCOL:
        raise WireError("not a greeting")
    if hello.version != VERSION:
        raise Refused(f"protocol version {hello.version}, here it is {VERSION}")
    if hello.cluster != identity.cluster:
        raise Refused(f"cluster {hello.cluster!a}, here it is {identity.cluster!a}")
    if hello.replicas != identity.epoch.n:
        raise Refused(f"a cluster of {hello.replicas} replicas, here it has {identity.epoch.n}")
    if hello.receiver != identity.replica:
        raise Refused(f"looking for replica {hello.receiver}, here is {identity.replica}")
    if hello.sender not in identity.epoch.members:
        raise Refused(f"no replica {hello.sender} in this cluster of {identity.epoch.n}")
    if hello.sender == identity.replica:
        raise Refused(f"the dialler says that it is replica {hello.sender}, which is here")
    return hello.sender, read_introduction(hello)


def accept(accepted: Accepted | None = None) -> bytes:
    """The answer that accepts a greeting."""
    answer = wire.Answer(protocol=_PROTOCOL, accepted=True)
    if accepted is not None:
        _add(answer, accepted)
    return answer.SerializeToString()


def refuse(reason: str, kind: int = Refusal.OTHER, accepted: Accepted | None = None) -> bytes:
    """The answer that refuses a greeting, with the reason."""
    answer = wire.Answer(protocol=_PROTOCOL, accepted=False, refusal=reason[:_REFUSAL_CHARS_MAX])
    if accepted is not None:
        answer.kind = kind
        _add(answer, accepted)
    return answer.SerializeToString()


def _add(answer: wire.Answer, accepted: Accepted) -> None:
    if accepted.by is not None:
        write_introduction(accepted.by, answer.introduction)
    answer.heard_written = accepted.heard_written
    answer.heard_process = accepted.heard_process


def check_answer(data: bytes) -> Accepted:
    """What the other side says when `data` accepts; raises Refused with its reason, or WireError."""
    try:
        answer = wire.Answer.FromString(data)
    except DecodeError:
        raise WireError("not an answer to a greeting") from None
    if answer.protocol != _PROTOCOL:
        raise WireError("not an answer to a greeting")
    accepted = Accepted(read_introduction(answer), answer.heard_written, answer.heard_process)
    if not answer.accepted:
        printable = ascii(answer.refusal[:_REFUSAL_CHARS_MAX])[1:-1]  # it may be anybody's text
        raise Refused(printable or "no reason given", answer.kind, accepted)
    return accepted
