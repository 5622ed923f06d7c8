"""Replies as bytes, to be kept in a session.  Equal replies give equal bytes at every replica."""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import (
    CommandError,
    NilArray,
    Reply,
    ReplyByKey,
    ReplyMap,
    ReplyPairs,
    ReplySet,
    SimpleString,
)
from epaxos.interfaces.redis import bytes_of

__all__ = ["REPLY_BYTES_MAX", "decode_reply", "encode_reply"]

REPLY_BYTES_MAX = 1024
"""A reply that takes more bytes here is not kept."""

_LISTS: dict[type, bytes] = {
    list: b"*",
    ReplyMap: b"%",
    ReplyPairs: b"=",
    ReplySet: b"~",
    NilArray: b"!",
    ReplyByKey: b"@",
}
_KINDS = {kind: made for made, kind in _LISTS.items()}


def encode_reply(reply: Reply) -> bytes | None:
    """The reply, in the same way at every replica; None when it takes more than REPLY_BYTES_MAX bytes."""
    parts: list[bytes] = []
    left = REPLY_BYTES_MAX
    pending: list[Any] = [reply]
    while pending:
        part = _encode(pending.pop(), left, pending)
        if part is None or len(part) > left:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _encode(reply: Any, left: int, pending: list[Any]) -> bytes | None:
    """One reply; of a list the head alone, and its elements go to `pending`."""
    if reply is None:
        return b"_\n"
    if isinstance(reply, list):
        if len(reply) > left:
            return None
        pending.extend(reversed(reply))
        return b"%b%d\n" % (_LISTS.get(type(reply), b"*"), len(reply))
    if isinstance(reply, int):
        return b":%d\n" % reply if reply.bit_length() <= 8 * left else None
    if isinstance(reply, bytes):
        return b"$%d\n%b" % (len(reply), reply) if len(reply) <= left else None
    if isinstance(reply, float):
        return b",%b\n" % repr(reply).encode()
    text = str(reply)
    if len(text) > left:
        return None
    kind = b"+" if isinstance(reply, SimpleString) else b"-"
    data = bytes_of(text)
    return b"%b%d\n%b" % (kind, len(data), data)


def decode_reply(data: bytes) -> Reply:
    """What `encode_reply` encoded.  Raises ValueError for anything else."""
    whole: list[Any] = []
    open_lists: list[tuple[list[Any], int]] = [(whole, 1)]  # each with its length
    position = 0
    while open_lists:
        into, length = open_lists[-1]
        if len(into) == length:
            open_lists.pop()
            continue
        end = data.index(b"\n", position)
        kind, head = data[position : position + 1], data[position + 1 : end]
        position = end + 1
        if kind in _KINDS:
            inner: list[Any] = _KINDS[kind]()
            into.append(inner)
            open_lists.append((inner, int(head)))
        elif kind in (b"$", b"+", b"-"):
            into.append(_text(kind, data[position : position + int(head)]))
            position += int(head)
        elif kind == b",":
            into.append(float(head))
        else:
            into.append(int(head) if kind == b":" else None)
    if position != len(data):
        raise ValueError("not a reply")
    reply: Reply = whole[0]
    return reply


def _text(kind: bytes, data: bytes) -> Reply:
    if kind == b"$":
        return data
    text = data.decode("utf-8", "surrogateescape")
    return SimpleString(text) if kind == b"+" else CommandError(text)
