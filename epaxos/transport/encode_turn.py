"""Encodes the messages of one turn: each is encoded once, and all for one replica come together."""

from __future__ import annotations

from collections.abc import Container, Sequence

from epaxos.net.quiet_log import Complaints
from epaxos.protocol.values.messages import Message
from epaxos.wire.codec import encode

__all__ = ["TurnEncoder"]


class TurnEncoder:
    """Encodes what is sent, drops what cannot be, and counts in messages how much was dropped.

    `bytes_max`: no longer message is sent; `complaints` gets a line for each kind of message that is longer.
    """

    def __init__(self, bytes_max: int, complaints: Complaints) -> None:
        self._bytes_max = bytes_max
        self._complaints = complaints
        self.messages_dropped = 0

    def encode(
        self, outgoing: Sequence[tuple[int, Message]], reachable: Container[int]
    ) -> dict[int, list[bytes]]:
        """The encoded messages for each replica, in order.

        Messages to replicas that are not `reachable` are dropped, and so are messages that are too long.
        """
        encoded: dict[int, bytes] = {}  # by identity: `outgoing` keeps every message alive
        turns: dict[int, list[bytes]] = {}
        for replica, message in outgoing:
            if replica not in reachable:
                self.messages_dropped += 1
                continue
            chunk = encoded.get(id(message))
            if chunk is None:
                chunk = encoded[id(message)] = encode(message)
            if len(chunk) > self._bytes_max:
                self._drop_too_long(message, len(chunk))
            elif replica in turns:
                turns[replica].append(chunk)
            else:
                turns[replica] = [chunk]
        return turns

    def _drop_too_long(self, message: Message, size_bytes: int) -> None:
        self.messages_dropped += 1
        self._complaints.warn(
            type(message).__name__,
            f"a message of {size_bytes} bytes is dropped: the limit is {self._bytes_max}",
        )
