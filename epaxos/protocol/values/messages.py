"""What replicas say to each other: plain typed values, one class a message of protocol.md.

Nothing here knows how a message is encoded; `transport.codec` does.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Union

from epaxos.protocol.values.ids import Deps, InstanceId

__all__ = [
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


class Phase(IntEnum):
    """The life of an instance at one replica.  The numbers are stored and sent: never renumber."""

    INITIAL = 0
    PREACCEPTED = 1
    ACCEPTED = 2
    COMMITTED = 3


_KEY_FRAMING_BYTES = 5
_BATCH_FRAMING_BYTES = 16


class Batch(NamedTuple):
    """What one instance carries: client commands as columns.

    `writes` are the distinct keys written, `reads` the distinct keys only read, `payload` the
    commands as the state machine encoded them (opaque to everything else), `commands` their
    number.  A `barrier` interferes with everything.
    """

    writes: tuple[bytes, ...]
    reads: tuple[bytes, ...]
    payload: bytes
    commands: int
    barrier: bool = False

    @property
    def size_bytes(self) -> int:
        """What the batch takes on the wire: never more, and less only by a few bytes a key."""
        keys = len(self.writes) + len(self.reads)
        bytes_of_keys = sum(map(len, self.writes)) + sum(map(len, self.reads))
        return len(self.payload) + bytes_of_keys + _KEY_FRAMING_BYTES * keys + _BATCH_FRAMING_BYTES


NOP = Batch((), (), b"", 0)
"""The command that does nothing: what recovery decides when the proposed one cannot have been
committed.  It has no commands, which no proposed batch has."""


class PreAccept(NamedTuple):
    """The command leader proposes `batch` with the dependencies it knows.

    `fast_quorum`: the replicas whose answers, together with the leader's own, will be the value;
    sorted, without the leader.  Empty where any fast quorum of equal answers will do.
    """

    id: InstanceId
    batch: Batch
    deps: Deps
    fast_quorum: tuple[int, ...] = ()


class PreAcceptOK(NamedTuple):
    """Promise: the instance is pre-accepted here with `deps`."""

    id: InstanceId
    deps: Deps


class Accept(NamedTuple):
    """The owner of `ballot` asks to accept a value.

    `batch` is None when the receiver is known to hold the proposed batch.
    """

    id: InstanceId
    ballot: int
    batch: Batch | None
    deps: Deps


class AcceptOK(NamedTuple):
    """Promise: the value of `ballot` is accepted here."""

    id: InstanceId
    ballot: int


class Commit(NamedTuple):
    """A decision.  `batch` is None when the receiver is thought to hold the proposed batch."""

    id: InstanceId
    ballot: int
    batch: Batch | None
    deps: Deps


class Recover(NamedTuple):
    """The owner of `ballot` asks what is known of an instance."""

    id: InstanceId
    ballot: int


class RecoverOK(NamedTuple):
    """Promise: nothing below `ballot` is taken here any more.  And what is known.

    `batch` is the current value (None: unknown) decided or proposed in ballot `accepted_ballot`;
    `init_deps` is what the command leader first proposed (None: unknown), and `fast_quorum` whom it
    named then.
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
    """A recoverer asks whether (batch, deps) can still have been committed on the fast path."""

    id: InstanceId
    ballot: int
    batch: Batch
    deps: Deps


class Conflict(NamedTuple):
    """An instance that speaks against a validated one, and whether it is committed."""

    id: InstanceId
    committed: bool


class ValidateOK(NamedTuple):
    """Promise: the validated value is remembered here.  And what speaks against it."""

    id: InstanceId
    ballot: int
    conflicts: tuple[Conflict, ...]


class Waiting(NamedTuple):
    """The recovery of `id` waits for others; `votes` is its |R| (EPaxos*, section 4)."""

    id: InstanceId
    votes: int


class Fetch(NamedTuple):
    """Please send the Commit, with its batch, of those of `ids` that are committed at your side."""

    ids: tuple[InstanceId, ...]


class Read(NamedTuple):
    """Which instances that write one of `keys` do you know?  `number` is the asker's own."""

    number: int
    keys: tuple[bytes, ...]


class ReadOK(NamedTuple):
    """The instances that the keys of Read `number` interfere with at the sender; no promise."""

    number: int
    deps: Deps


class Heartbeat(NamedTuple):
    """The sender lives.

    `committed`: per row, the highest slot up to which it holds every commit;
    `executed`: per row, the highest slot up to which it has durably executed everything.
    """

    committed: Deps
    executed: Deps


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
