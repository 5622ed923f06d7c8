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
from typing import NamedTuple

from google.protobuf.message import DecodeError

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.membership import NUMBER_MAX
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
    "WHOEVER",
    "Greeting",
    "PeerIdentity",
    "Refused",
    "accept",
    "check_answer",
    "check_receiver",
    "examine",
    "greet",
    "refuse",
]

VERSION = 1
"""The version of the wire protocol; replicas of different versions refuse each other."""

HANDSHAKE_BYTES_MAX = 1024
"""No frame of a handshake is longer."""

WHOEVER = 2**32 - 1
"""The receiver of a greeting whose sender has the address of a member, and does not know its number."""

_PROTOCOL = "epaxos"
_CLUSTER_BYTES_MAX = 255
_REFUSAL_CHARS_MAX = 200


@dataclass(frozen=True)
class PeerIdentity:
    """The replica `replica` of a cluster.  `epoch` has its first members, as the configuration says; None
    where it does not, because the replica joins later.  Raises ValueError when it cannot be."""

    cluster: str
    replica: int
    epoch: Epoch | None

    def __post_init__(self) -> None:
        if not 0 < len(self.cluster.encode()) <= _CLUSTER_BYTES_MAX:
            raise ValueError(f"the name of a cluster takes 1 to {_CLUSTER_BYTES_MAX} bytes in UTF-8")
        if not 0 <= self.replica < WHOEVER:
            raise ValueError(f"{self.replica} is not the number of a replica")
        if self.epoch is not None and self.replica not in self.epoch.members:
            raise ValueError(f"there is no replica {self.replica} in a cluster of {self.epoch.n}")

    @property
    def n(self) -> int:
        """How many first members the configuration has; 0 where it does not say."""
        return 0 if self.epoch is None else self.epoch.n


class Greeting(NamedTuple):
    """What a replica says that has dialled: its number, whom it wants to reach, and what it says of itself,
    None for a version that does not."""

    sender: int
    receiver: int
    who: Introduction | None


def greet(identity: PeerIdentity, receiver: int, who: Introduction | None = None) -> bytes:
    """The greeting of `identity` to the replica `receiver`, which it has dialled."""
    hello = wire.Hello(
        protocol=_PROTOCOL,
        version=VERSION,
        cluster=identity.cluster,
        replicas=identity.n,
        sender=identity.replica,
        receiver=receiver,
    )
    if who is not None:
        write_introduction(who, hello.introduction)
    return hello.SerializeToString()


def examine(identity: PeerIdentity, greeting: bytes) -> Greeting:
    """What a replica says that greets `identity`.

    Raises Refused, with a reason for the answer, when a replica is wrong here, and WireError when the bytes
    are no greeting.  Who knows the uuid of its cluster, or joins one, goes by lists of members, which the
    caller has to look into, and whether this is the replica that it looks for (`check_receiver`).
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
    who = read_introduction(hello)
    found = Greeting(hello.sender, hello.receiver, who)
    if who is None or not (who.uuid or who.joins):
        _check_by_configuration(identity, found, hello.replicas)
    if hello.sender > NUMBER_MAX:
        raise Refused(f"replica {hello.sender}, and the highest number is {NUMBER_MAX}")
    if hello.sender == identity.replica:
        raise Refused(f"the dialler says that it is replica {hello.sender}, which is here")
    return found


def _check_by_configuration(identity: PeerIdentity, greeting: Greeting, n: int) -> None:
    """Raise Refused unless both sides have the same first members."""
    epoch = identity.epoch
    if epoch is None:
        return
    if n != epoch.n:
        raise Refused(f"a cluster of {n} replicas, here it has {epoch.n}")
    check_receiver(identity, greeting)
    if greeting.sender not in epoch.members:
        raise Refused(f"no replica {greeting.sender} in this cluster of {epoch.n}")


def check_receiver(identity: PeerIdentity, greeting: Greeting) -> None:
    """Raise Refused unless `identity` is who the dialler looks for."""
    receiver, who = greeting.receiver, greeting.who
    if receiver != identity.replica and not (receiver == WHOEVER and who is not None and who.joins):
        raise Refused(f"looking for replica {receiver}, here is {identity.replica}")


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
    if accepted.number is not None:
        answer.number = accepted.number


def check_answer(data: bytes) -> Accepted:
    """What the other side says when `data` accepts; raises Refused with its reason, or WireError."""
    try:
        answer = wire.Answer.FromString(data)
    except DecodeError:
        raise WireError("not an answer to a greeting") from None
    if answer.protocol != _PROTOCOL:
        raise WireError("not an answer to a greeting")
    number = answer.number if answer.HasField("number") else None
    accepted = Accepted(read_introduction(answer), answer.heard_written, answer.heard_process, number)
    if not answer.accepted:
        printable = ascii(answer.refusal[:_REFUSAL_CHARS_MAX])[1:-1]  # it may be anybody's text
        raise Refused(printable or "no reason given", answer.kind, accepted)
    return accepted
