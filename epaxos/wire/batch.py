"""Encodes and decodes batches, in the same way for messages and for the disk."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from epaxos.protocol.values.membership import Membership
from epaxos.protocol.values.messages import NOP, Batch
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.checks import WireError
from epaxos.wire.membership import decode_membership, encode_membership

__all__ = ["decode_batch", "encode_batch", "optional_batch", "proposed"]


def encode_batch(batch: Batch) -> bytes:
    """The batch alone, as it also lies on disk; nothing (no bytes) for NOP."""
    columns = wire.Batch(payload=batch.payload, commands=batch.commands)
    if batch.writes:  # touching an empty column takes as long as filling it
        columns.writes.extend(batch.writes)
    if batch.reads:
        columns.reads.extend(batch.reads)
    if batch.barrier:
        columns.barrier = True
        if batch.successor is not None:
            encode_membership(batch.successor, columns.successor)
    return columns.SerializeToString()


def decode_batch(data: bytes) -> Batch:
    """What `encode_batch` encoded; NOP is the constant.  Raises WireError."""
    try:
        columns = wire.Batch.FromString(data)
    except DecodeError:
        raise WireError("not a batch") from None
    batch = Batch(
        tuple(columns.writes[:]),  # a slice is copied by one call, an iteration asks for each element
        tuple(columns.reads[:]),
        columns.payload,
        columns.commands,
        columns.barrier,
    )
    if columns.barrier and columns.HasField("successor"):
        return _opening(batch, decode_membership(columns.successor))
    if batch.commands:
        return batch
    if batch != NOP:
        raise WireError("a batch without commands that is not the NOP")
    return NOP


def _opening(batch: Batch, successor: Membership) -> Batch:
    """The batch with its `successor`.  Raises WireError when it holds anything else."""
    opening = Batch.opening(successor)
    if batch._replace(successor=successor) != opening:
        raise WireError("a batch that opens an epoch, with commands of clients")
    return opening


def proposed(message: wire.PreAccept | wire.Validate) -> Batch:
    """The batch of a proposal, which is never the NOP.  Raises WireError."""
    batch = decode_batch(message.batch)
    if batch is NOP:
        raise WireError("a proposal without commands")
    return batch


def optional_batch(message: wire.Accept | wire.Commit | wire.RecoverOK) -> Batch | None:
    """The batch of the message; None where it has none.  Raises WireError."""
    return decode_batch(message.batch) if message.HasField("batch") else None
