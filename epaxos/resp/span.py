"""Commands of one connection that are answered together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from epaxos.interfaces import Reply
from epaxos.resp.encoder import encode_in_steps
from epaxos.resp.holding import Share

__all__ = ["Span"]


class Span:
    """Commands that are answered together, and their replies as soon as there are any.

    `size_bytes`: the bytes of the commands, and after that of the replies; `resp`: the protocol version of
    the replies.  The replies are either `output`, which is ready to be written, or `replies`, which are
    encoded while the client takes them.
    """

    __slots__ = ("commands", "output", "replies", "resp", "share", "size_bytes")

    def __init__(self, commands: int, size_bytes: int, resp: int, output: bytes | None) -> None:
        self.commands = commands
        self.size_bytes = size_bytes
        self.resp = resp
        self.output = output
        self.replies: Sequence[Reply] | None = None
        self.share: Share | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the replies are there."""
        return self.output is not None or self.replies is not None

    def pieces(self) -> Iterator[bytes]:
        """The encoded replies, piece by piece.  Only for an answered span."""
        if self.output is not None:
            return iter((self.output,))
        return encode_in_steps(self.replies or (), self.resp)
