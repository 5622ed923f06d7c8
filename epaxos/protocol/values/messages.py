"""The messages of the protocol: plain typed values, one class for each.

Nothing here knows how a message is encoded; `wire.codec` does.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Union

from epaxos.protocol.values.clocks import Clocks
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.membership import Membership

__all__ = [
    "FETCH_BYTES",
    "FETCH_INSTANCES",
    "NOP",
    "Accept",
    "AcceptOK",
    "Batch",
    "Commit",
    "Conflict",
    "Fetch",
    "Heartbeat",
    "Message",
    "Phase",
    "PreAccept",
    "PreAcceptOK",
    "Read",
    "ReadOK",
    "Recover",
    "RecoverOK",
    "Validate",
    "ValidateOK",
    "Waiting",
]


FETCH_INSTANCES = 256
"""Instances that one Fetch asks for, at most."""
FETCH_BYTES = 4_000_000
"""The answer to a Fetch ends with the commit that takes it beyond this size.  Asker and answerer count
alike, so that the asker knows when it has the whole of an answer that was cut."""


class Phase(IntEnum):
    """The phase of an instance at one replica.  The numbers are stored and sent: never renumber them."""

    INITIAL = 0
    PREACCEPTED = 1
    ACCEPTED = 2
    COMMITTED = 3


_KEY_FRAMING_BYTES = 5
_BATCH_FRAMING_BYTES = 16
_MEMBER_BYTES = 48
"""More than a member takes on the wire, and than the rest of a membership does."""


class Batch(NamedTuple):
    """The client commands of one instance, as columns.

    `writes` holds the distinct keys that are written, `reads` the distinct keys that are only read.
    `payload` is the commands as the state machine encoded them, which nothing else looks into, and
    `commands` their number.  A `barrier` interferes with everything.  A batch with a `successor` opens the
    next epoch, with these members; it is a barrier, counts as one command and has no payload, and no
    state machine sees it.
    """

    writes: tuple[bytes, ...]
    reads: tuple[bytes, ...]
    payload: bytes
    commands: int
    barrier: bool = False
    successor: Membership | None = None

    @classmethod
    def opening(cls, successor: Membership) -> Batch:
        """The batch that opens `successor`."""
        return cls((), (), b"", 1, True, successor)

    @property
    def size_bytes(self) -> int:
        """An upper bound of the bytes on the wire, too high by a few bytes for each key."""
        keys = len(self.writes) + len(self.reads)
        bytes_of_keys = sum(map(len, self.writes)) + sum(map(len, self.reads))
        opening = 0 if self.successor is None else _bytes_of(self.successor)
        return len(self.payload) + bytes_of_keys + _KEY_FRAMING_BYTES * keys + opening + _BATCH_FRAMING_BYTES


def _bytes_of(membership: Membership) -> int:
    texts = [membership.why, *(text for member in membership.members for text in member[2:])]
    return _MEMBER_BYTES * (len(membership.members) + 1) + sum(len(text.encode()) for text in texts)


NOP = Batch((), (), b"", 0)
"""The batch that does nothing.  Recovery chooses it when the proposed batch cannot have been committed.
It has 0 commands, as no proposed batch has."""


class PreAccept(NamedTuple):
    """The command leader proposes `batch` with the dependencies that it knows, D0.

    `fast_quorum` are the named replicas, sorted and without the leader: their answers and the leader's
    own make the value.  It is empty where any fast quorum of equal answers will do.
    """

    id: InstanceId
    batch: Batch
    deps: Deps
    fast_quorum: tuple[int, ...] = ()


class PreAcceptOK(NamedTuple):
    """A promise: the sender has pre-accepted the instance with `deps`."""

    id: InstanceId
    deps: Deps


class Accept(NamedTuple):
    """The owner of `ballot` asks the receiver to accept a value.

    `batch` is None when the receiver is known to hold the proposed batch.
    """

    id: InstanceId
    ballot: int
    batch: Batch | None
    deps: Deps


class AcceptOK(NamedTuple):
    """A promise: the sender has accepted the value of `ballot`."""

    id: InstanceId
    ballot: int


class Commit(NamedTuple):
    """A decision.  `batch` is None when the receiver was sent the proposed batch before."""

    id: InstanceId
    ballot: int
    batch: Batch | None
    deps: Deps


class Recover(NamedTuple):
    """The owner of `ballot` asks what the receiver knows of an instance."""

    id: InstanceId
    ballot: int


class RecoverOK(NamedTuple):
    """A promise: the sender takes nothing below `ballot` any more.  It tells what it knows of the instance.

    `batch` is the current command, None when unknown, accepted or committed at `accepted_ballot`.
    `init_deps` is what the command leader first proposed, None when unknown; `fast_quorum` are the
    replicas that it named.
    """

    id: InstanceId
    ballot: int
    accepted_ballot: int
    phase: Phase
    batch: Batch | None
    deps: Deps
    init_deps: Deps | None
    fast_quorum: tuple[int, ...] = ()


class Validate(NamedTuple):
    """A recoverer asks whether (batch, deps) may have been committed on the fast path."""

    id: InstanceId
    ballot: int
    batch: Batch
    deps: Deps


class Conflict(NamedTuple):
    """An instance that conflicts with a validated one, and whether it is committed."""

    id: InstanceId
    committed: bool


class ValidateOK(NamedTuple):
    """A promise: the sender has recorded the validated value.  It names the instances in conflict with it."""

    id: InstanceId
    ballot: int
    conflicts: tuple[Conflict, ...]


class Waiting(NamedTuple):
    """The recovery of `id` waits for conflicting instances; `votes` is its |R| (EPaxos*, section 4)."""

    id: InstanceId
    votes: int


class Fetch(NamedTuple):
    """The sender asks for the Commit, with its batch, of each of `ids` that the receiver holds committed.

    A Fetch of nothing asks for a Heartbeat.
    """

    ids: tuple[InstanceId, ...]


class Read(NamedTuple):
    """The sender asks which instances that write one of `keys` the receiver knows.

    `number` is the sender's own number of the read.
    """

    number: int
    keys: tuple[bytes, ...]


class ReadOK(NamedTuple):
    """The answer to Read `number`: the instances that the sender knows.  It is no promise."""

    number: int
    deps: Deps


class Heartbeat(NamedTuple):
    """The sender lives, and tells how far it is.

    For each row, `committed` is the slot up to which it holds every commit, and `executed` the slot up
    to which it has durably executed everything.  `clocks`: see Clocks; None while the core has it, and from
    versions that tell nothing of their clocks.
    """

    committed: Deps
    executed: Deps
    clocks: Clocks | None = None


Message = Union[
    PreAccept,
    PreAcceptOK,
    Accept,
    AcceptOK,
    Commit,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
    Fetch,
    Read,
    ReadOK,
    Heartbeat,
]
