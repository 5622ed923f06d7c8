"""Parses whole commands with hiredis, as far as hiredis can be trusted with bytes of clients.

hiredis was made to parse what a *server* says: it allocates what the header of an array announces, and
accepts nested arrays, integers and all other types.  So it only gets data that begins with a command and
holds nothing that looks like the header of an absurdly long array, not even inside of a value, because
hiredis does not look at the two bytes behind a value.  Its results are checked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import hiredis

__all__ = ["CommonParser", "RespError", "TrustingParser"]

# A search for a pattern that begins with one mark is many times as fast as one for several marks.
_LONG = [
    (mark, re.compile(re.escape(mark) + rb"[+-]?[0-9]{4,}\r\n")) for mark in (b"*", b"~", b"%", b">", b"|")
]
"""What looks like the header of an array, set, map, push or attribute of 1000 elements or more, with its
mark.  Such headers may be nested, one in every few bytes."""
_LOOK_ALIKE = [
    (b"~", re.compile(rb"~[0-9]+\r\n")),
    (b">", re.compile(rb">[0-9]+\r\n")),
    (b"|", re.compile(rb"\|[0-9]+\r\n")),
    (b"=", re.compile(rb"(?s)=[0-9]+\r\n.{3}:")),
]
"""What looks like a set, push or attribute, which hiredis returns as a list as well, or like a verbatim
string, of which hiredis returns only the text."""
_NOTHING = object()
_MARK_VALUE = os.urandom(16).hex().encode()
_MARK = b"$32\r\n%s\r\n" % _MARK_VALUE
"""Fed after the data, it comes out alone when the data ended with a command.  No client knows it."""


class RespError(Exception):
    """The client does not speak the protocol; the text is the error that it gets before it is cut off."""


class TrustingParser:
    """hiredis for data of one connection.  A reader of hiredis serves as long as data ends with a command."""

    def __init__(self) -> None:
        self._reader: hiredis.Reader | None = None

    def parse(self, data: bytes) -> tuple[list[list[bytes]], bytes] | None:
        """The commands in `data`, and the bytes after them; None when it needs the careful parser."""
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
    """hiredis for the data of several connections at once, one after the other."""

    def __init__(self) -> None:
        self._reader = _reader()

    def parse(self, inputs: Sequence[bytes]) -> list[list[list[bytes]]] | None:
        """The commands of each connection; None when some data is not whole commands, or needs a closer look.

        A mark stands before and after the data of each connection.  Exactly these marks come out only when
        all data ends with a command, because otherwise hiredis takes a mark for an element of a command.
        """
        data = _MARK.join([b"", *inputs, b""])
        if _announces_much(data):
            return None
        items = _replies(self._reader, data)
        if items is None or items.count(_MARK_VALUE) != len(inputs) + 1:
            self._reader = _reader()  # the old one is inside of a command
            return None
        slices = []
        start = 1
        for _ in inputs:
            end = items.index(_MARK_VALUE, start)
            slices.append(items[start:end])
            start = end + 1
        commands = list(chain.from_iterable(slices))
        if not _are_commands(commands):
            return None
        if _may_be_others(b"".join(inputs), commands) and list(inputs) != list(map(_encode, slices)):
            return None
        return slices


def _announces_much(data: bytes) -> bool:
    """Whether hiredis may allocate far more for the data than the data is long."""
    return any(mark in data and long.search(data) for mark, long in _LONG)


def _may_be_others(data: bytes, commands: list[list[bytes]]) -> bool:
    """Whether some of `commands`, which hiredis made of `data`, may not be arrays of bulk strings.

    Simple strings and big numbers have one line end, bulk strings have two.
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
    """The values that `data` completes; None when hiredis fails, after which the reader is useless."""
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
    except TypeError:  # an element is no string; there is no faster way to find it
        return False
    return True


def _size_of(commands: list[list[bytes]]) -> int:
    """The number of bytes of the commands, as every client writes them."""
    lengths = list(map(len, chain.from_iterable(commands)))
    return (
        sum(lengths)
        + sum(map(len, map(b"$%d\r\n\r\n".__mod__, lengths)))
        + sum(map(len, map(b"*%d\r\n".__mod__, map(len, commands))))
    )
