"""Whole commands to lists of bytes by hiredis, as far as it can be trusted with what a client sends.

It was made to parse what a *server* says: it allocates what an array header announces, and takes nested
arrays, integers and the rest.  So it is given whole reads that begin with a command and hold nothing that
could be the header of an absurdly long array (it may also be a part of a value; and as hiredis does not look
at the two bytes behind a value, it may stand anywhere).  What it makes of them is looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import hiredis

__all__ = ["CommonParser", "RespError", "TrustingParser"]

# A pattern that begins with its mark is found many times as fast as one that begins with several.
_LONG = [
    (mark, re.compile(re.escape(mark) + rb"[+-]?[0-9]{4,}\r\n")) for mark in (b"*", b"~", b"%", b">", b"|")
]
"""What may be the header of an array, set, map, push or attribute of 1000 elements or more, with its mark:
they may be nested, one in every few bytes."""
_LOOK_ALIKE = [
    (b"~", re.compile(rb"~[0-9]+\r\n")),
    (b">", re.compile(rb">[0-9]+\r\n")),
    (b"|", re.compile(rb"\|[0-9]+\r\n")),
    (b"=", re.compile(rb"(?s)=[0-9]+\r\n.{3}:")),
]
"""What may be a set, push or attribute, which hiredis gives as a list, too, or a verbatim string, of which it
gives the text alone."""
_NOTHING = object()
_MARK_VALUE = os.urandom(16).hex().encode()
_MARK = b"$32\r\n%s\r\n" % _MARK_VALUE
"""Fed behind a read, it comes out alone when the read ended with a command.  No client knows it."""


class RespError(Exception):
    """The client does not speak the protocol; the text is what it is told before it is cut off."""


class TrustingParser:
    """hiredis, given reads that begin with a command.  A reader serves as long as reads end with one."""

    def __init__(self) -> None:
        self._reader: hiredis.Reader | None = None

    def parse(self, data: bytes) -> tuple[list[list[bytes]], bytes] | None:
        """The commands in `data`, and the bytes behind them; None when it needs a closer look."""
        if data[:1] != b"*" or _announces_much(data):
            return None
        reader, self._reader = self._reader or _reader(), None
        commands = _replies(reader, data)
        if commands is None or not _are_commands(commands):
            return None
        size = len(data)
        if _replies(reader, _MARK) == [_MARK_VALUE]:
            self._reader = reader
        else:
            size = _size_of(commands)
            if data[size : size + 1] != b"*":
                return None
        whole, rest = data[:size], data[size:]
        if _may_be_others(whole, commands) and whole != _encode(commands):
            return None
        return commands, rest


class CommonParser:
    """hiredis, given what several connections sent, one behind the other."""

    def __init__(self) -> None:
        self._reader = _reader()

    def parse(self, reads: Sequence[bytes]) -> list[list[list[bytes]]] | None:
        """The commands of each read; None when one is not just whole commands, or needs a closer look.

        The mark before and behind each read comes out alone, so often and no more, only when all reads
        end with a command: otherwise it is taken for a part of one.
        """
        data = _MARK.join([b"", *reads, b""])
        if _announces_much(data):
            return None
        items = _replies(self._reader, data)
        if items is None or items.count(_MARK_VALUE) != len(reads) + 1:
            self._reader = _reader()  # it is in the middle of something
            return None
        parts = []
        start = 1
        for _ in reads:
            end = items.index(_MARK_VALUE, start)
            parts.append(items[start:end])
            start = end + 1
        commands = list(chain.from_iterable(parts))
        if not _are_commands(commands):
            return None
        if _may_be_others(b"".join(reads), commands) and list(reads) != list(map(_encode, parts)):
            return None
        return parts


def _announces_much(data: bytes) -> bool:
    """Whether hiredis may allocate far more for it than it is long."""
    return any(mark in data and long.search(data) for mark, long in _LONG)


def _may_be_others(data: bytes, commands: list[list[bytes]]) -> bool:
    """Whether not all `commands`, which hiredis made of `data`, need be arrays of bulk strings.

    Simple strings and big numbers have one end of a line, where bulk strings have two.
    """
    if any(mark in data and look_alike.search(data) for mark, look_alike in _LOOK_ALIKE):
        return True
    if b"+" not in data and b"(" not in data:
        return False
    lines = len(commands) + 2 * sum(map(len, commands))
    lines += b"\0".join(chain.from_iterable(commands)).count(b"\r\n")
    return data.count(b"\r\n") != lines


def _reader() -> hiredis.Reader:
    return hiredis.Reader(protocolError=RespError, replyError=RespError, notEnoughData=_NOTHING)


def _replies(reader: hiredis.Reader, data: bytes) -> list[Any] | None:
    """What is complete with `data`; None when hiredis makes nothing of it, and is of no use afterwards."""
    reader.feed(data)
    try:
        return list(iter(reader.gets, _NOTHING))
    except Exception:
        return None


def _encode(commands: list[list[bytes]]) -> bytes:
    """The commands as every client writes them."""
    return b"".join(
        [
            b"*%d\r\n%b" % (len(command), b"".join([b"$%d\r\n%b\r\n" % (len(a), a) for a in command]))
            for command in commands
        ]
    )


def _are_commands(commands: Sequence[object]) -> bool:
    """Whether all are non-empty arrays of strings."""
    if not (set(map(type, commands)) <= {list} and all(commands)):
        return False
    try:
        b"".join(chain.from_iterable(commands))  # type: ignore[arg-type]
    except TypeError:  # an element is something else; there is no quicker way to find it
        return False
    return True


def _size_of(commands: list[list[bytes]]) -> int:
    """How many bytes the commands took, as every client writes them."""
    lengths = list(map(len, chain.from_iterable(commands)))
    return (
        sum(lengths)
        + sum(map(len, map(b"$%d\r\n\r\n".__mod__, lengths)))
        + sum(map(len, map(b"*%d\r\n".__mod__, map(len, commands))))
    )
