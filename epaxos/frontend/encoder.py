"""Replies to bytes: RESP2 and RESP3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from epaxos.interfaces import CommandError, Reply, SimpleString

__all__ = ["RespMap", "encode_replies", "encode_reply"]

_OK = SimpleString("OK")
_OK_BYTES = b"+OK\r\n"
_NIL = {2: b"$-1\r\n", 3: b"_\r\n"}


class RespMap(list):  # type: ignore[type-arg]
    """A reply that is a map in RESP3, and a flat list of keys and values in RESP2."""


def encode_replies(replies: Sequence[Reply], resp: int) -> bytes:
    """All replies, one behind the other, for protocol version `resp` (2 or 3)."""
    if replies and replies[0] == _OK and replies.count(_OK) == len(replies):
        return _OK_BYTES * len(replies)
    kinds = set(map(type, replies))
    uniform: Any = replies
    if kinds == {bytes}:
        return b"".join([b"$%d\r\n%b\r\n" % (len(value), value) for value in uniform])
    if kinds == {int}:
        return b"".join([b":%d\r\n" % number for number in uniform])
    return b"".join([encode_reply(reply, resp) for reply in replies])


def encode_reply(reply: Reply, resp: int) -> bytes:
    """One reply.  Raises TypeError for what is none."""
    if reply is None:
        return _NIL[resp]
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, SimpleString):
        return b"+%b\r\n" % reply.encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, CommandError):
        text = str(reply).replace("\r", " ").replace("\n", " ")
        return b"-%b\r\n" % text.encode("utf-8", "replace")
    if isinstance(reply, list):
        if isinstance(reply, RespMap) and resp == 3:
            head = b"%%%d\r\n" % (len(reply) // 2)
        else:
            head = b"*%d\r\n" % len(reply)
        return head + b"".join([encode_reply(element, resp) for element in reply])
    raise TypeError(f"not a reply: {type(reply).__name__}")
