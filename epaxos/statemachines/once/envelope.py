"""A batch with commands of sessions: an envelope around batches of the state machine inside.

Any other batch crosses the cluster as the state machine inside made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from google.protobuf.message import DecodeError

from epaxos.protocol.values.messages import NOP, Batch
from epaxos.statemachines import once_pb2
from epaxos.statemachines.once.keys import COMMON, key_of
from epaxos.statemachines.once.sessions import SESSION_ID_BYTES

__all__ = ["MARK", "Kind", "Part", "decode_parts", "encode_parts"]

MARK = b"\0epaxos once\1"
"""The payload of an envelope begins like this, and that of no other batch.  It is no message of protobuf, so
a version that knows of no envelopes stops at one, rather than to run it as something else."""


class Kind(IntEnum):
    """What a part does.  The numbers are stored: never renumber them."""

    COMMANDS = 1
    ONCE = 2
    BEGIN = 3
    END = 4


class Part(NamedTuple):
    """A part of an envelope.

    `inside`: the batch of COMMANDS, or of the one command of ONCE.  `uses`: see `End`.
    """

    kind: Kind
    inside: Batch = NOP
    session: bytes = b""
    number: int = 0
    acked: int = 0
    uses: int | None = None


def encode_parts(parts: Sequence[Part], now_s: int) -> Batch:
    """The batch of these parts, proposed at `now_s`."""
    writes: dict[bytes, None] = {}
    reads: dict[bytes, None] = {}
    envelope = once_pb2.Envelope(now_s=now_s)
    commands = 0
    for kind, inside, session, number, acked, uses in parts:
        envelope.parts.add(
            kind=kind,
            session=session,
            number=number,
            acked=acked,
            uses=uses,
            writes=inside.writes,
            reads=inside.reads,
            payload=inside.payload,
            commands=inside.commands,
            barrier=inside.barrier,
        )
        writes.update(dict.fromkeys(inside.writes))
        reads.update(dict.fromkeys(inside.reads))
        if kind is not Kind.COMMANDS:
            writes[key_of(session)] = None
        if kind in (Kind.BEGIN, Kind.END):
            writes[COMMON] = None
        commands += inside.commands or 1
    payload = MARK + envelope.SerializeToString()
    if any(part.inside.barrier for part in parts):
        return Batch((), (), payload, commands, True)
    return Batch(tuple(writes), tuple(key for key in reads if key not in writes), payload, commands)


def decode_parts(batch: Batch) -> tuple[int, Iterator[Part]]:
    """When the envelope was proposed, and its parts.

    Raises ValueError, perhaps only in the iteration, when it cannot be understood.
    """
    try:
        envelope = once_pb2.Envelope.FromString(batch.payload[len(MARK) :])
    except DecodeError:
        raise ValueError("not an envelope of batches") from None
    if sum(part.commands or 1 for part in envelope.parts) != batch.commands:
        raise ValueError("an envelope whose parts do not fit")
    return envelope.now_s, map(_part, envelope.parts)


def _part(part: once_pb2.Part) -> Part:
    kind = Kind(part.kind)
    if part.commands != 1 if kind is Kind.ONCE else (part.commands > 0) is not (kind is Kind.COMMANDS):
        raise ValueError(f"a part {kind.name} with {part.commands} commands")
    if len(part.session) != (0 if kind is Kind.COMMANDS else SESSION_ID_BYTES):
        raise ValueError("a part with a wrong session")
    inside = Batch(
        tuple(part.writes[:]), tuple(part.reads[:]), part.payload, part.commands, part.barrier
    )  # a slice is copied by one call
    uses = part.uses if part.HasField("uses") else None
    return Part(kind, inside, part.session, part.number, part.acked, uses)
