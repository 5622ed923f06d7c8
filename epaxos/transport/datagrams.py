"""The datagrams of replicas: a header, frames, and room for a proof of the sender.

A datagram is, all numbers big-endian:

    ======  =====  ==========================================================================
    offset  bytes  what is there
    ======  =====  ==========================================================================
    0       4      `EPXD`
    4       1      version of this header: 2
    5       1      length m of the proof at the end: 0, there is none yet
    6       2      which key made the proof: 0, there is none yet
    8       8      the cluster: a digest of its uuid, or of its name and a number of replicas
    16      8      the sender: a digest of the uid of its folder
    24      8      the receiver: the same; zeros in a greeting, and where it is not known
    32      1      what it holds: 0 messages, 1 a control message, 2 a greeting, 3 an answer to one
    33      3      zeros
    36      4      the number of the epoch that the messages belong to; 0 in others
    40      8      the session of the sender: a higher number in each life of its process
    48      8      the number of the datagram in this session, for this receiver, from 1
    56      2      its fragment of a long message, from 0 …
    58      2      … of this number; 1 where the datagram holds whole messages
    60      …      frames, one after the other, or a fragment of one; or what the kind says
    end-m   m      the proof, of everything before it
    ======  =====  ==========================================================================

Offsets up to 8 are the same in every version.  A version that proves the sender will fill in these fields
and refuse numbers that it has seen: no field moves, and the room for messages stays the same, because the
room for the proof is kept free already.

Two replicas say Hello and Answer to each other as over a stream, each once a second until it is answered.
Before a greeting was accepted, nothing else is taken from its address.  The digest of the name stands in
everything but messages, and in messages of a replica that does not know the uuid.  The number in it is that
of the sender's configuration; versions that know that members come and go take any.

Datagrams from outside are hostile: each that does not fit is a DatagramError, and the bytes held of long
messages are bounded.  The transport needs neither order nor delivery, so sessions and numbers only serve to
count lost and duplicate datagrams and to assemble long messages.

Pure: bytes in, bytes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

from epaxos.protocol.values.membership import MEMBERS_MAX
from epaxos.protocol.values.transfer import PIECE_BYTES_MAX
from epaxos.transport.handshake import PeerIdentity
from epaxos.wire.frames import EPOCH_LIMIT

__all__ = [
    "ANSWER",
    "CONTROL",
    "DATAGRAM_BYTES_LIMIT",
    "HEADER_BYTES",
    "HELLO",
    "LONG_MESSAGE_BYTES_MAX",
    "MESSAGES",
    "VERSION",
    "Datagram",
    "DatagramError",
    "DatagramReader",
    "DatagramWriter",
    "NotGreetedError",
    "Sequence",
    "batch_bytes_max",
    "body_bytes_max",
    "digest_of",
    "piece_bytes_max",
    "sender_of",
]

DATAGRAM_BYTES_LIMIT = 65_507
"""The most that a UDP datagram over IPv4 holds."""

LONG_MESSAGE_BYTES_MAX = 4_000_000
"""A message that does not fit into one datagram is sent in fragments, up to this length: a list of very
many instances, or a batch that was proposed when `datagram_bytes_max` was higher."""

VERSION = 2
"""The version of the header.  Replicas of different versions do not understand each other over UDP."""

MESSAGES, CONTROL, HELLO, ANSWER = range(4)
"""What a datagram holds."""

_MAGIC = b"EPXD"
_HEADER = Struct("!4sBBH8s8s8sB3xIQQHH")
HEADER_BYTES = _HEADER.size
_SENDER = slice(16, 24)
_PROOF_BYTES = 32  # kept free for it
_NOBODY = bytes(8)
_FRAGMENTS_MAX = 4096
_WINDOW = 1024  # the numbers that are remembered, back from the highest


class DatagramError(ValueError):
    """A datagram that is not valid here; the text says in a few words why."""


class NotGreetedError(DatagramError):
    """A datagram of a process whose greeting was not accepted yet, as comes while a replica restarts."""


def body_bytes_max(datagram_bytes_max: int) -> int:
    """The bytes of a datagram that are for messages."""
    return datagram_bytes_max - HEADER_BYTES - _PROOF_BYTES


def batch_bytes_max(datagram_bytes_max: int, n: int) -> int:
    """The longest batch with which every message that carries a batch fits into one datagram.

    The message with the most beside its batch is RecoverOK: two dependency vectors of n numbers of up to
    9 bytes, a fast quorum of up to n replicas, and less than 64 bytes for the rest.
    """
    return body_bytes_max(datagram_bytes_max) - (2 * 9 + 2) * n - 64


def piece_bytes_max(datagram_bytes_max: int) -> int:
    """The most bytes of a file of the state with which a Piece fits into one datagram.

    Beside them it has three numbers of up to 10 bytes, and less than 24 bytes for the rest.
    """
    return min(PIECE_BYTES_MAX, body_bytes_max(datagram_bytes_max) - 64)


def _digest(cluster: str, n: int) -> bytes:
    return blake2b(f"{n} {cluster}".encode(), digest_size=8).digest()


@lru_cache(maxsize=8)
def _digests(cluster: str) -> frozenset[bytes]:
    """The digests of the name of a cluster, with each number of replicas that it may have."""
    return frozenset(_digest(cluster, n) for n in range(MEMBERS_MAX + 1))


def digest_of(number: int) -> bytes:
    """The digest of a uid or a uuid; zeros for 0, which stands for none."""
    return blake2b(number.to_bytes(16, "big"), digest_size=8).digest() if number else _NOBODY


class Datagram(NamedTuple):
    """What a datagram holds: `kind`, the number of the epoch, the session of its sender, and the body, which
    is empty while fragments are missing."""

    kind: int
    epoch: int
    session: int
    body: bytes


class DatagramWriter:
    """Makes the datagrams of one session of `identity`, which has the folder `uid`, for one other replica.

    `uuid` is that of the cluster, 0 while it is not known, and `receiver` the uid of the other replica.
    """

    def __init__(self, identity: PeerIdentity, uid: int, session: int, bytes_max: int) -> None:
        self._name = self._cluster = _digest(identity.cluster, identity.n)
        self._sender = digest_of(uid)
        self._receiver = _NOBODY
        self._session = session
        self._body_bytes_max = body_bytes_max(bytes_max)
        self._sequence = 0

    def address(self, uuid: int, receiver: int) -> None:
        """Write for the folder `receiver` from now on, in the cluster `uuid`."""
        self._cluster = digest_of(uuid) if uuid else self._name
        self._receiver = digest_of(receiver)

    def write_one(self, body: bytes, kind: int, receiver: int | None = None) -> Iterator[bytes]:
        """The datagrams that hold a control message, a greeting or an answer.

        `receiver`: the uid of another folder than the one that is addressed, 0 for whichever is there.
        """
        to = self._receiver if receiver is None else digest_of(receiver)
        head = (_NOBODY if kind == HELLO else to, kind)
        limit = self._body_bytes_max
        starts = range(0, len(body), limit) or range(1)
        for fragment, start in enumerate(starts):
            yield self._datagram(body[start : start + limit], fragment, len(starts), head)

    def write(self, chunks: Iterable[bytes], epoch: int = 0) -> Iterator[bytes]:
        """Datagrams that hold the encoded messages of `epoch`, as many in each as fit.

        No message may be longer than LONG_MESSAGE_BYTES_MAX.
        """
        limit = self._body_bytes_max
        head = (self._receiver, MESSAGES)
        group: list[bytes] = []
        size = 0
        for chunk in chunks:
            if size + len(chunk) > limit and group:
                yield self._datagram(b"".join(group), 0, 1, head, epoch)
                group, size = [], 0
            if len(chunk) > limit:
                starts = range(0, len(chunk), limit)
                for fragment, start in enumerate(starts):
                    piece = chunk[start : start + limit]
                    yield self._datagram(piece, fragment, len(starts), head, epoch)
            else:
                group.append(chunk)
                size += len(chunk)
        if group:
            yield self._datagram(b"".join(group), 0, 1, head, epoch)

    def _datagram(
        self, body: bytes, fragment: int, fragments: int, head: tuple[bytes, int], epoch: int = 0
    ) -> bytes:
        self._sequence += 1
        receiver, kind = head
        header = _HEADER.pack(
            _MAGIC,
            VERSION,
            0,
            0,
            self._name if kind else self._cluster,
            self._sender,
            receiver,
            kind,
            epoch,
            self._session,
            self._sequence,
            fragment,
            fragments,
        )
        return header + body


class DatagramReader:
    """Checks and assembles the datagrams that come from the address of one other replica, at the replica
    `identity` with the folder `uid`.

    `know` says which cluster this is, and `expect` which greeting was accepted.
    """

    def __init__(self, identity: PeerIdentity, uid: int) -> None:
        self._names = _digests(identity.cluster)
        self._cluster: bytes | None = None
        self._receiver = digest_of(uid)
        self.sender = _NOBODY
        """The digest of the uid of the folder whose greeting was accepted."""
        self._session = 0
        self._long: _LongMessage | None = None
        self.sequence = Sequence()

    def know(self, uuid: int) -> None:
        """The uuid of the cluster; 0 while it is not known."""
        self._cluster = digest_of(uuid) if uuid else None

    def expect(self, uid: int, session: int) -> None:
        """The greeting of the folder `uid` in this session was accepted."""
        self.sender = digest_of(uid)
        self._session = session

    def read(self, datagram: bytes) -> Datagram:
        """What `datagram` holds or completes.  Raises DatagramError."""
        if len(datagram) < HEADER_BYTES:
            raise DatagramError(f"{len(datagram)} bytes are not a datagram of a replica")
        magic, version, proof_bytes, key, cluster, sender, receiver, kind, epoch, session, number, *part = (
            _HEADER.unpack_from(datagram)
        )
        fragment, fragments = part
        if magic != _MAGIC:
            raise DatagramError("not a datagram of a replica")
        if version != VERSION:
            why = f"header version {version}, here it is {VERSION}"
            raise DatagramError(f"{why}: over UDP, stop all replicas, then start all with the same version")
        if proof_bytes or key:
            raise DatagramError(f"signed with key {key}, here are no keys")
        if kind > ANSWER:
            raise DatagramError(f"a datagram of kind {kind}")
        if cluster != self._cluster and cluster not in self._names and (kind or self._cluster is not None):
            raise DatagramError("of another cluster")
        if receiver != self._receiver and (kind < HELLO or receiver != _NOBODY):
            raise DatagramError("for another folder than the one here")
        if kind < HELLO and (sender != self.sender or session != self._session):
            raise NotGreetedError("from a process whose greeting was not accepted yet")
        if epoch >= EPOCH_LIMIT or (kind and epoch):
            raise DatagramError(f"kind {kind} of epoch {epoch}")
        if fragment >= fragments or number <= fragment:
            raise DatagramError(f"fragment {fragment} of {fragments} in datagram {number}")
        self.sequence.note(session, number)
        body = datagram[HEADER_BYTES:]
        if fragments > 1:
            body = self._assemble((session, number - fragment), fragment, fragments, body)
        return Datagram(kind, epoch, session, body)

    def _assemble(self, name: tuple[int, int], fragment: int, fragments: int, body: bytes) -> bytes:
        """Assemble one long message at a time, because its fragments are sent one right after the other."""
        if fragments > _FRAGMENTS_MAX:
            raise DatagramError(f"a message in {fragments} fragments")
        long = self._long
        if long is None or long.name != name or long.fragments != fragments:
            long = self._long = _LongMessage(name, fragments)
        message = long.add(fragment, body)
        if message is not None:
            self._long = None
            return message
        if long.size > LONG_MESSAGE_BYTES_MAX:
            self._long = None
            raise DatagramError(f"a message of more than {LONG_MESSAGE_BYTES_MAX} bytes")
        return b""


def sender_of(datagram: bytes) -> bytes:
    """The digest of the uid of its sender, as the datagram says."""
    return datagram[_SENDER]


class _LongMessage:
    """The fragments of a long message that have come.  `name`: session and number of the first."""

    __slots__ = ("_bodies", "fragments", "name", "size")

    def __init__(self, name: tuple[int, int], fragments: int) -> None:
        self.name = name
        self.fragments = fragments
        self.size = 0
        self._bodies: dict[int, bytes] = {}

    def add(self, fragment: int, body: bytes) -> bytes | None:
        """The whole message, when this fragment completes it."""
        if fragment not in self._bodies:
            self._bodies[fragment] = body
            self.size += len(body)
        if len(self._bodies) < self.fragments or self.size > LONG_MESSAGE_BYTES_MAX:
            return None
        return b"".join(self._bodies[number] for number in range(self.fragments))


class Sequence:
    """Counts the numbers that were lost and those that came twice, over all sessions.

    It remembers the last _WINDOW numbers only; one that comes later than that counts as lost.
    """

    __slots__ = ("_first", "_highest", "_seen", "_session", "doubled", "lost")

    def __init__(self) -> None:
        self.lost = 0
        self.doubled = 0
        self._session = -1
        self._first = 0
        self._highest = 0
        self._seen = 0  # bit i: the number `_highest` - i

    def note(self, session: int, number: int) -> None:
        """`number` of `session` has come."""
        if session > self._session:
            self._session = session
            self._first = self._highest = number
            self._seen = 1
        elif session == self._session:  # an earlier one is no longer counted
            if number > self._highest:
                self._on_next(number)
            else:
                self._on_earlier(number)

    def _on_next(self, number: int) -> None:
        ahead = number - self._highest
        self.lost += ahead - 1
        self._highest = number
        self._seen = (self._seen << ahead | 1) & ((1 << _WINDOW) - 1) if ahead < _WINDOW else 1

    def _on_earlier(self, number: int) -> None:
        bit = 1 << behind if (behind := self._highest - number) < _WINDOW else 0
        if self._seen & bit:
            self.doubled += 1
        elif bit:
            self._seen |= bit
            if number > self._first:
                self.lost -= 1
