"""Encodes replies as bytes of RESP2 or RESP3.

A reply may be far longer than its request, because a few kilobytes can ask a thousand times for a value of
megabytes.  So only short replies are encoded at once; all others in steps, while the client takes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

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
from epaxos.interfaces.doubles import text_of_double
from epaxos.interfaces.redis import OK, bytes_of

__all__ = [
    "REPLY_OVERHEAD_BYTES",
    "STEP_BYTES",
    "Measure",
    "Push",
    "Several",
    "Verbatim",
    "encode_if_small",
    "encode_in_steps",
    "encode_replies",
    "encode_reply",
    "measure",
]

STEP_BYTES = 32_768
"""About the most bytes of a step of `encode_in_steps`; longer replies are not encoded at once."""
ELEMENTS_AT_ONCE = 1_000
"""Replies with more elements, including those of nested lists, are not encoded at once."""
LARGE_BYTES = 16_384
"""A longer value is never copied into an encoded reply, but sent from where it is stored."""
SAMPLED_FROM, SAMPLES = 65_536, 16_384
"""Of a reply with more elements than the first number about the second one are measured: the others are taken
to be like them, because to look at a million takes a hundredth of a second and more."""
REPLY_OVERHEAD_BYTES = 64
"""Memory that Python needs for a reply beside its bytes, about."""
REPLY_HEAD_BYTES = 5
"""Bytes that the protocol adds to a reply, at least."""

_OK_BYTES = b"+OK\r\n"
_VALUES = {bytes, type(None)}
_NIL = {2: b"$-1\r\n", 3: b"_\r\n"}
_NIL_ARRAY = {2: b"*-1\r\n", 3: b"_\r\n"}


class Push(list):  # type: ignore[type-arg]
    """Something that the client has not just asked for: in RESP3 apart from replies, a list in RESP2."""


class Several(list):  # type: ignore[type-arg]
    """The replies to one command that has more than one; never inside another reply."""


class Verbatim(bytes):
    """A reply that is a text for people in RESP3 (a verbatim string), and a bulk string in RESP2."""

    __slots__ = ()


class Measure(NamedTuple):
    """The length of replies.

    `encoded`: their bytes on the wire, about.  `own`: their bytes in memory, about, without the values in
    `large`, which the store or other replies may hold as well.
    """

    encoded: int
    own: int
    large: dict[int, bytes]


def encode_if_small(replies: Sequence[Reply], resp: int) -> bytes | None:
    """All replies as `encode_replies` returns them; None when they would be long, or take long."""
    if len(replies) == 1 and type(replies[0]) is bytes:
        value: Any = replies[0]
        return b"$%d\r\n%b\r\n" % (len(value), value) if len(value) <= STEP_BYTES else None
    if replies and replies[0] == OK and replies.count(OK) == len(replies):
        return _OK_BYTES * len(replies)
    if len(replies) > ELEMENTS_AT_ONCE:
        return None
    uniform: Any = replies
    kinds = set(map(type, replies))
    if kinds == {bytes}:
        lengths = list(map(len, uniform))
        if sum(lengths) > STEP_BYTES:
            return None
        return b"".join([b"$%d\r\n%b\r\n" % pair for pair in zip(lengths, uniform)])
    if kinds == {int}:
        return b"".join([b":%d\r\n" % number for number in uniform])
    return _encode_within(replies, resp)


def _encode_within(replies: Sequence[Reply], resp: int) -> bytes | None:
    """Encode replies of several kinds; None when they are too long to be encoded at once."""
    pieces: list[bytes] = []
    elements, size_bytes = ELEMENTS_AT_ONCE - len(replies), STEP_BYTES
    for reply in replies:
        if type(reply) is bytes:
            size_bytes -= len(reply)
            if size_bytes < 0:
                return None
            pieces.append(b"$%d\r\n%b\r\n" % (len(reply), reply))
            continue
        if isinstance(reply, list):
            left = _room(reply, elements, size_bytes)
            if left is None:
                return None
            elements, size_bytes = left
        pieces.append(encode_reply(reply, resp))
    return b"".join(pieces)


def _room(replies: Sequence[Reply], elements: int, size_bytes: int) -> tuple[int, int] | None:
    """The elements and bytes that are left after the replies; None when the replies need more."""
    elements -= len(replies)
    if elements < 0:
        return None
    for reply in replies:
        if isinstance(reply, list):
            left = _room(reply, elements, size_bytes)
            if left is None:
                return None
            elements, size_bytes = left
        elif isinstance(reply, (bytes, str)):
            size_bytes -= len(reply)
    return (elements, size_bytes) if size_bytes >= 0 else None


def encode_replies(replies: Sequence[Reply], resp: int) -> bytes:
    """All replies, one after the other, for protocol version `resp` (2 or 3)."""
    return b"".join([encode_reply(reply, resp) for reply in replies])


def encode_reply(reply: Reply, resp: int) -> bytes:
    """One reply, for protocol version `resp` (2 or 3).  Raises TypeError when it is no reply."""
    if reply is None:
        return _NIL[resp]
    if isinstance(reply, bytes):
        if resp == 3 and isinstance(reply, Verbatim):
            return b"=%d\r\ntxt:%b\r\n" % (len(reply) + 4, reply)
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, SimpleString):
        return b"+%b\r\n" % reply.encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, float):
        digits = text_of_double(reply)
        return b",%b\r\n" % digits if resp == 3 else b"$%d\r\n%b\r\n" % (len(digits), digits)
    if isinstance(reply, CommandError):
        text = str(reply).replace("\r", " ").replace("\n", " ")
        return b"-%b\r\n" % bytes_of(text)
    if isinstance(reply, list):
        elements = b"".join([encode_reply(element, resp) for element in _elements(reply, resp)])
        return elements if isinstance(reply, Several) else _head(reply, resp) + elements
    raise TypeError(f"not a reply: {type(reply).__name__}")


def _head(reply: list[Any], resp: int) -> bytes:
    if isinstance(reply, NilArray):
        return _NIL_ARRAY[resp]
    if resp == 3 and isinstance(reply, (ReplyMap, ReplyByKey)):
        return b"%%%d\r\n" % (len(reply) // 2)
    if isinstance(reply, ReplyPairs if resp == 3 else ReplyByKey):
        return b"*%d\r\n" % (len(reply) // 2)
    if resp == 3 and isinstance(reply, ReplySet):
        return b"~%d\r\n" % len(reply)
    return b"%b%d\r\n" % (b">" if resp == 3 and isinstance(reply, Push) else b"*", len(reply))


def _elements(reply: list[Any], resp: int) -> Iterable[Reply]:
    if isinstance(reply, ReplyPairs if resp == 3 else ReplyByKey):
        elements = iter(reply)
        return map(list, zip(elements, elements))
    return reply


def encode_in_steps(replies: Sequence[Reply], resp: int) -> Iterator[bytes]:
    """The bytes of `encode_replies` in pieces, each of which is made when the caller asks for it.

    A piece is about STEP_BYTES long at most, or is a stored value itself, of any length.
    """
    pieces: list[bytes] = []
    size_bytes = 0
    nested: list[Iterator[Any]] = [iter(replies)]
    while nested:
        for reply in nested[-1]:
            if isinstance(reply, list):
                pieces.append(_head(reply, resp))
                nested.append(iter(_elements(reply, resp)))
                break
            if type(reply) is bytes and len(reply) > LARGE_BYTES:
                pieces.append(b"$%d\r\n" % len(reply))
                yield b"".join(pieces)
                yield reply
                pieces, size_bytes = [b"\r\n"], 2
                continue
            piece = encode_reply(reply, resp)
            pieces.append(piece)
            size_bytes += len(piece)
            if size_bytes >= STEP_BYTES:
                yield b"".join(pieces)
                pieces, size_bytes = [], 0
        else:
            nested.pop()
    if pieces:
        yield b"".join(pieces)


def measure(replies: Sequence[Reply]) -> Measure:
    """Measure the replies without encoding them."""
    large: dict[int, bytes] = {}
    encoded = own = 0
    nested: list[Sequence[Reply]] = [replies]
    while nested:
        some = nested.pop()
        if len(some) > SAMPLED_FROM:
            step = len(some) // SAMPLES + 1
            part = measure(some[::step])
            if not part.large:  # else each of them counts, and once
                encoded += step * part.encoded
                own += step * part.own
                continue
        kinds = set(map(type, some))
        own += REPLY_OVERHEAD_BYTES * len(some)
        encoded += REPLY_HEAD_BYTES * len(some)
        values: Any = filter(None, some) if kinds <= _VALUES else [r for r in some if isinstance(r, bytes)]
        values = list(values)
        size_bytes = sum(map(len, values))
        encoded += size_bytes
        if size_bytes > LARGE_BYTES and max(map(len, values)) > LARGE_BYTES:
            large.update({id(value): value for value in values if len(value) > LARGE_BYTES})
            size_bytes = sum(len(value) for value in values if len(value) <= LARGE_BYTES)
        own += size_bytes
        if not kinds <= _VALUES:
            nested += [reply for reply in some if isinstance(reply, list)]
            encoded += sum(len(str(reply)) for reply in some if isinstance(reply, (str, CommandError)))
    return Measure(encoded, own, large)
