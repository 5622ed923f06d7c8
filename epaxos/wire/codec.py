"""Encodes and decodes messages, by `wire.proto`, in the same way for every transport.

Encoding checks nothing, because messages of this replica are valid.  Decoding checks everything: in a value
that leaves `decode_frame` every number is in its range and every vector has its length, so that no caller
has to check again.  The transport bounds the bytes.  Each group of messages has a file with its tables:
`proposing.py`, `recovering.py`, `upkeep.py`.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.messages import Message
from epaxos.wire import proposing, recovering, upkeep
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.batch import decode_batch, encode_batch
from epaxos.wire.checks import WireError

__all__ = ["WireError", "decode_batch", "decode_frame", "encode", "encode_batch"]

_ENCODERS = {**proposing.ENCODERS, **recovering.ENCODERS, **upkeep.ENCODERS}
_DECODERS = {**proposing.DECODERS, **recovering.DECODERS, **upkeep.DECODERS}


def encode(message: Message) -> bytes:
    """A frame that holds only `message`.  The concatenation of frames is a frame."""
    frame = wire.Frame()
    _ENCODERS[type(message)](message, frame.messages.add())
    return frame.SerializeToString()


def decode_frame(data: bytes, epoch: Epoch) -> list[Message]:
    """The messages of a frame of `epoch`, in order.  Raises WireError."""
    try:
        frame = wire.Frame.FromString(data)
    except DecodeError:
        raise WireError("not a frame") from None
    n = epoch.n
    messages: list[Message] = []
    for message in frame.messages:
        kind = message.WhichOneof("kind")
        if kind is None:
            raise WireError("a message of an unknown kind")
        messages.append(_DECODERS[kind](getattr(message, kind), n))
    return messages
