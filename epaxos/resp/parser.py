"""Parses the bytes of a Redis client into commands.

hiredis parses whole commands (`hiredis_parser.py`).  A careful parser handles everything else, also a command
that comes in several slices of input.
"""

from __future__ import annotations

import re

from epaxos.resp.hiredis_parser import RespError, TrustingParser

__all__ = ["ARGUMENTS_MAX", "CommandParser", "RespError", "split_inline"]

ARGUMENTS_MAX = 1024 * 1024
"""Arguments of one command.  As in Redis."""
LINE_BYTES_MAX = 64 * 1024
"""Bytes of an inline command, and of the line with a length.  As in Redis."""
STRANGER_ARGUMENTS_MAX = 10
STRANGER_BYTES_MAX = 16384
"""Arguments of one command, and bytes of one argument, of a client that has not given the password.  As in
Redis."""


class CommandParser:
    """The commands of one connection, in whatever slices its bytes arrive.

    It never holds more than one command, of `command_bytes_max` bytes, and one slice of input.
    """

    def __init__(self, command_bytes_max: int) -> None:
        self._careful = _CarefulParser(command_bytes_max)
        self._trusting = TrustingParser()
        self.is_inside = False
        """Whether a command has begun and is not complete."""

    @property
    def held_bytes(self) -> int:
        """The bytes that it holds of the command that is not complete."""
        return self._careful.held_bytes

    def feed(self, data: bytes) -> tuple[list[list[bytes]], RespError | None]:
        """The commands that `data` completes, and the error after them, if there is one.

        Nothing may be fed after an error.
        """
        commands: list[list[bytes]] = []
        try:
            if self._careful.is_inside:
                data = self._careful.finish_command(data, commands)
            if data:
                self._feed_command_start(data, commands)
        except RespError as error:
            return commands, error
        finally:
            self.is_inside = self._careful.is_inside
        return commands, None

    def feed_stranger(self, data: bytes) -> tuple[list[bytes] | None, bytes, RespError | None]:
        """The one command that `data` completes, the bytes after it, and the error instead of it.  Empty ones
        come alone, as None.

        For a client that has not given the password, whose commands have narrower bounds.
        """
        commands: list[list[bytes]] = []
        self._careful.is_stranger = True
        try:
            rest = self._careful.finish_command(data, commands)
        except RespError as error:
            return None, b"", error
        finally:
            self._careful.is_stranger = False
            self.is_inside = self._careful.is_inside
        return (commands[0] if commands else None), rest, None

    def _feed_command_start(self, data: bytes, commands: list[list[bytes]]) -> None:
        parsed = self._trusting.parse(data)
        if parsed is None:
            self._careful.feed(data, commands)
            return
        whole, rest = parsed
        commands += whole
        if rest:
            self._careful.feed(rest, commands)


class _CarefulParser:
    """Exact, bounded, and slower.  Announced lengths are checked before anything is kept for them."""

    def __init__(self, command_bytes_max: int) -> None:
        self._command_bytes_max = command_bytes_max
        self._buffer = bytearray()
        self._position = 0
        self._left: int | None = None
        self._length: int | None = None
        self._arguments: list[bytes] = []
        self._size = 0
        self.is_stranger = False
        """Whether the bounds are those of a client that has not given the password."""

    @property
    def is_inside(self) -> bool:
        """Whether a command has begun and is not complete."""
        return bool(self._buffer) or self._left is not None

    @property
    def held_bytes(self) -> int:
        """The bytes that it holds of the command that is not complete."""
        return len(self._buffer) + sum(map(len, self._arguments)) if self.is_inside else 0

    def feed(self, data: bytes, commands: list[list[bytes]]) -> None:
        """Add all commands that are complete with `data`.  Raises RespError."""
        self._buffer += data
        try:
            while self._step(commands):
                pass
        finally:
            del self._buffer[: self._position]
            self._position = 0

    def finish_command(self, data: bytes, commands: list[list[bytes]]) -> bytes:
        """Parse to the end of the command that has begun; the bytes after it.  Raises RespError."""
        self._buffer += data
        while self._step(commands):
            if self._left is None:
                rest = bytes(self._buffer[self._position :])
                self._buffer.clear()
                self._position = 0
                return rest
        del self._buffer[: self._position]
        self._position = 0
        return b""

    def _step(self, commands: list[list[bytes]]) -> bool:
        """Take one element from the buffer, if it is complete."""
        if self._position >= len(self._buffer):
            return False
        if self._left is None:
            return self._start(commands)
        if self._length is None:
            return self._take_length()
        if not self._take_argument():
            return False
        if self._left == 0:
            commands.append(self._arguments)
            self._arguments, self._left, self._size = [], None, 0
        return True

    def _line(self, end_mark: bytes, too_long: str) -> bytes | None:
        """The bytes before `end_mark`, whose first byte ends the line; None while the line is not complete.

        As in Redis, a NUL byte hides the end of its line, so that the line becomes too long.
        """
        start = self._position
        end = self._buffer.find(end_mark[:1], start, start + LINE_BYTES_MAX)
        if end < 0 or self._buffer.find(0, start, end) >= 0:
            if len(self._buffer) - start >= LINE_BYTES_MAX:
                raise RespError(f"ERR Protocol error: {too_long}")
            return None
        if len(self._buffer) < end + len(end_mark):
            return None
        self._position = end + len(end_mark)
        return bytes(self._buffer[start:end])

    def _start(self, commands: list[list[bytes]]) -> bool:
        if self._buffer[self._position] != ord("*"):
            line = self._line(b"\n", "too big inline request")
            if line is None:
                return False
            arguments = split_inline(line[:-1] if line.endswith(b"\r") else line)
            if arguments:
                commands.append(arguments)
            else:
                self._skip_empty_lines()
            return True
        line = self._line(b"\r\n", "too big mbulk count string")
        if line is None:
            return False
        count = _number(line[1:])
        if count is not None and self.is_stranger and count > STRANGER_ARGUMENTS_MAX:
            raise RespError("ERR Protocol error: unauthenticated multibulk length")
        if count is None or count > ARGUMENTS_MAX:
            raise RespError("ERR Protocol error: invalid multibulk length")
        if count > 0:
            self._left = count
        return True

    def _skip_empty_lines(self) -> None:
        found = _EMPTY_LINES.match(self._buffer, self._position)
        if found is not None:
            self._position = found.end()

    def _take_length(self) -> bool:
        line = self._line(b"\r\n", "too big bulk count string")
        if line is None:
            return False
        if line[:1] != b"$":
            mark = line[0] if line else ord("\r")
            shown = " " if mark in b"\r\n" else chr(mark) if 32 <= mark < 127 else f"\\x{mark:02x}"
            raise RespError(f"ERR Protocol error: expected '$', got '{shown}'")
        length = _number(line[1:])
        if length is None or length < 0 or length > self._command_bytes_max:
            raise RespError("ERR Protocol error: invalid bulk length")
        if self.is_stranger and length > STRANGER_BYTES_MAX:
            raise RespError("ERR Protocol error: unauthenticated bulk length")
        self._size += length
        if self._size > self._command_bytes_max:
            raise RespError("ERR Protocol error: the command is too long")
        self._length = length
        return True

    def _take_argument(self) -> bool:
        assert self._length is not None and self._left is not None
        end = self._position + self._length
        if len(self._buffer) < end + 2:
            return False
        self._arguments.append(bytes(self._buffer[self._position : end]))
        self._position = end + 2  # any two bytes, as in Redis and hiredis
        self._left -= 1
        self._length = None
        return True


_EMPTY_LINES = re.compile(rb"[\r\n]{0,%d}\n" % (LINE_BYTES_MAX - 1))
"""Skipped at once, because there may be one in every byte.  Carriage returns are white space."""
_NUMBER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
"""As Redis writes it: no sign but a minus, and no leading zero."""


def _number(text: bytes) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


_SPACE = b" \t\r\n\v\f"
_WORD_END = b" \t\r\n"
"""As in Redis: other white space may stand between words, and inside of a word."""
_UNUSUAL = re.compile(rb"[\"'\v\f]")
_ESCAPES = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("b"): b"\b", ord("a"): b"\a"}
_HEX = re.compile(rb"\\x([0-9a-fA-F]{2})")


def split_inline(line: bytes) -> list[bytes]:
    """The arguments of an inline command, by Redis' quoting rules.  Raises RespError."""
    if not _UNUSUAL.search(line):
        return line.split()
    arguments: list[bytes] = []
    position = 0
    while True:
        while position < len(line) and line[position] in _SPACE:
            position += 1
        if position == len(line):
            return arguments
        argument, position = _take_word(line, position)
        arguments.append(argument)


def _take_word(line: bytes, position: int) -> tuple[bytes, int]:
    word = bytearray()
    while position < len(line) and line[position] not in _WORD_END:
        if line[position] in b"\"'":
            position = _take_quoted(line, position, word)
            if position < len(line) and line[position] not in _SPACE:
                raise RespError("ERR Protocol error: unbalanced quotes in request")
            break
        word.append(line[position])
        position += 1
    return bytes(word), position


def _take_quoted(line: bytes, position: int, word: bytearray) -> int:
    """Append the bytes between the quotes to `word`.  Returns the position after the closing quote."""
    quote = line[position]
    double = quote == ord('"')
    position += 1
    while position < len(line):
        byte = line[position]
        if byte == quote:
            return position + 1
        if byte == ord("\\") and double and (match := _HEX.match(line, position)):
            word.append(int(match[1], 16))
            position += 4
        elif byte == ord("\\") and position + 1 < len(line) and (double or line[position + 1] == quote):
            escaped = line[position + 1]
            word += _ESCAPES.get(escaped, bytes([escaped])) if double else b"'"
            position += 2
        else:
            word.append(byte)
            position += 1
    raise RespError("ERR Protocol error: unbalanced quotes in request")
