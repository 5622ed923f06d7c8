"""Hostile bytes take time and memory in proportion to their number, and no more."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import AcceptOK, Batch, Fetch, Heartbeat, PreAccept, Read, ReadOK
from epaxos.resp.parser import CommandParser
from epaxos.wire.codec import WireError, decode_frame, encode
from epaxos.wire.frames import FrameError, FrameReader, pack

MB = 1_000_000
READ_BYTES = 65536
CPU_S_MAX = 5.0
"""Seconds.  Linear work takes a tenth of it on a slow computer; quadratic work takes minutes."""


def peak_bytes(call: Callable[[], object]) -> int:
    """The peak of the memory that `call` has allocated."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def parse(data: bytes, size: int, command_bytes_max: int = 16 * MB) -> None:
    """Parse reads of `size` bytes, until an error."""
    parser = CommandParser(command_bytes_max)
    for start in range(0, len(data), size):
        _, error = parser.feed(data[start : start + size])
        if error is not None:
            return


def cut(data: bytes, size: int, bytes_max: int = 64 * MB) -> None:
    """Cut frames out of reads of `size` bytes, until an error."""
    reader = FrameReader(bytes_max)
    for start in range(0, len(data), size):
        try:
            reader.feed(data[start : start + size])
        except FrameError:
            return


class TimeTests(SynchronousTestCase):
    def takes_little(self, call: Callable[[], object], what: object) -> None:
        before = time.thread_time()
        call()
        self.assertLess(time.thread_time() - before, CPU_S_MAX, f"seconds for {what!r}")

    def test_commands(self) -> None:
        """In reads of the usual size, and a slice of the input in small reads."""
        for piece in (
            b"*1\r\n",
            b"*0\r\n",
            b"*999\r\n",
            b"$1\r\n",
            b"\r\n",
            b"x",
            b'"',
            b"\\x",
            b"PING\r\n",
            b"*1\r\n$0\r\n\r\n",
            b"*1\r\n+a\r\n",
            b"*02\r\n$003\r\nGET\r\n$1\r\na\r\n",
            b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$6\r\n*1000\r\n\r\n",
        ):
            data = piece * (MB // 3 // len(piece))
            self.takes_little(lambda data=data: parse(data, READ_BYTES), piece)
            self.takes_little(lambda data=data: parse(data[: MB // 30], 100), piece)

    def test_one_long_command(self) -> None:
        """Its words are parsed once, however the bytes are cut."""
        value = b"*2\r\n$3\r\nGET\r\n$300000\r\n" + b"*" * 300_000 + b"\r\n"
        many = b"*40000\r\n" + b"$1\r\na\r\n" * 40_000
        for data in (value, many, b"x" * 60_000):
            for size in (1, 3, READ_BYTES):
                self.takes_little(lambda data=data, size=size: parse(data, size), (data[:12], size))

    def test_frames(self) -> None:
        long = pack([b"x" * MB], 64 * MB)
        for data, size in (
            (bytes(MB), READ_BYTES),
            (bytes(MB // 10), 1),
            (long[: MB // 4], 1),
            (long, READ_BYTES),
        ):
            self.takes_little(lambda data=data, size=size: cut(data, size), (data[:5], size))


class MemoryTests(SynchronousTestCase):
    def test_announced_commands_take_nothing(self) -> None:
        for data in (
            b"*1048576\r\n$3\r\nSET\r\n",
            b"*2\r\n$3\r\nGET\r\n$16000000\r\nx",
            b"*99999999\r\n",
            b"*1\r\n$99999999999\r\n",
            b"*1\r\n~99999999\r\n",
            b"*1\r\n%99999999\r\n",
            b"*1\r\n>99999999\r\n",
            b"*1\r\n*99999999\r\n",
        ):
            for size in (1, READ_BYTES):
                self.assertLess(peak_bytes(lambda data=data, size=size: parse(data, size)), 100_000, data)

    def test_nested_arrays_take_little(self) -> None:
        """Each announces the most elements that the fast path accepts."""
        for piece in (b"*999\r\n", b"*1\r\n", b"*2\r\n$0\r\n\r\n*999\r\n"):
            data = (piece * READ_BYTES)[:READ_BYTES]
            self.assertLess(peak_bytes(lambda data=data: parse(data, READ_BYTES)), 16 * MB, piece)

    def test_commands_take_no_more_than_they_are_long(self) -> None:
        """The longest allowed command, a longer one, and many short arguments, which cost the most."""
        whole = b"*1\r\n$1000000\r\n" + b"x" * MB
        for data in (
            whole,
            b"*1\r\n$1000001\r\n" + b"x" * MB,
            b"x" * 8 * MB,
        ):
            peak = peak_bytes(lambda data=data: parse(data, READ_BYTES, command_bytes_max=MB))
            self.assertLess(peak, 3 * MB, data[:12])
        many = b"*20000\r\n" + b"$1\r\n\xff\r\n" * 20_000
        peak = peak_bytes(lambda: parse(many, READ_BYTES, command_bytes_max=MB))
        self.assertLess(peak, 80 * 20_000, "80 bytes for each argument")

    def test_announced_frames_take_nothing(self) -> None:
        for header in (b"\xff\xff\xff\xff", (64 * MB).to_bytes(4, "big")):
            for size in (1, READ_BYTES):
                peak = peak_bytes(lambda header=header, size=size: cut(header + b"x" * 100, size))
                self.assertLess(peak, 100_000, header)

    def test_messages_take_in_proportion(self) -> None:
        """The memory of decoded messages for each byte of their frame; the smallest messages cost the
        most."""
        id = InstanceId(1, 1)
        ids = tuple(InstanceId(1, 1) for _ in range(10_000))
        for data, factor in (
            (encode(AcceptOK(id, 0)) * 5_000, 40),
            (encode(Heartbeat((0, 0, 0), (0, 0, 0))) * 5_000, 40),
            (encode(ReadOK(0, (0, 0, 0))) * 5_000, 40),
            (encode(Read(0, (b"",) * 10_000)), 40),
            (encode(Fetch(ids)), 80),
            (encode(PreAccept(id, Batch((b"",) * 10_000, (), b"", 1), (0, 0, 0))), 40),
            (b"\x0a\x00" * 100_000, 40),
        ):
            peak = peak_bytes(lambda data=data: decode(data))
            self.assertLess(peak / len(data), factor, data[:20])


def decode(data: bytes) -> None:
    """Decode as the transport does."""
    try:
        decode_frame(data, Epoch.first(3))
    except WireError:
        return
