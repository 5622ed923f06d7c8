"""Load: redis-benchmark on several ports at once, and our own generator for what it cannot do.

The generator (`python -m tests.bench.load`, one process for each port) sends blocks of commands that
were encoded beforehand and counts the replies by their first byte, so that it costs little beside
what it loads.
"""

from __future__ import annotations

import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from random import Random
from typing import Any, Protocol

from tests.bench.processes import GUARD, python

__all__ = [
    "KEYS",
    "VALUE_BYTES",
    "Conversation",
    "RedisBenchmark",
    "command",
    "connections_of",
    "drive",
    "generate",
    "spread",
    "told_when",
]

KEYS = 1_000_000
VALUE_BYTES = 16
BLOCKS = 64
WARM_UP_S = 0.4


class RedisBenchmark:
    """redis-benchmark's SET of random (or one) keys at all ports at once, for about `seconds` each.

    `options`: further ones, such as those of TLS.
    """

    def __init__(
        self,
        ports: Sequence[int],
        connections: Sequence[int],
        pipeline: int,
        seconds: float,
        options: Sequence[str] = (),
    ) -> None:
        self._options = options
        self._ports = ports
        self._connections = connections
        self._pipeline = pipeline
        self._seconds = seconds
        self._rate = 1000.0 * min(pipeline, 50)  # a guess, so that the first run is short

    def run(self, one_key: bool = False, requests: int = 0) -> float:
        """Commands a second, the sum over the ports; `requests` fixes how many each port gets."""
        requests = requests or self.requests
        processes = [
            subprocess.Popen(
                [*GUARD, *self._command(port, clients, requests, one_key)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for port, clients in zip(self._ports, self._connections)
        ]
        try:
            outputs = [process.communicate(timeout=120) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        self._rate = sum(_rps(output, errors) for output, errors in outputs)
        return self._rate

    @property
    def requests(self) -> int:
        """How many commands each port gets in the next run, at the rate of the last one."""
        return max(self._pipeline * 50, int(self._rate * self._seconds / len(self._ports)))

    def _command(self, port: int, clients: int, requests: int, one_key: bool) -> list[str]:
        keys = [] if one_key else ["-r", str(KEYS)]
        numbers = {"-p": port, "-P": self._pipeline, "-c": clients, "-n": requests, "-d": VALUE_BYTES}
        flat = [str(part) for pair in numbers.items() for part in pair]
        return ["redis-benchmark", "--csv", "-t", "set", *flat, *keys, *self._options]


def _rps(output: str, errors: str) -> float:
    match = re.search(r'^"SET","([0-9.]+)"', output, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"redis-benchmark failed: {output[-300:]} {errors[-300:]}")
    return float(match[1])


def connections_of(total: int, ports: int) -> list[int]:
    """How many connections each port gets."""
    return [total // ports + (number < total % ports) for number in range(ports)]


# -- the generator


class Conversation(Protocol):
    """One connection's side of a protocol."""

    def begin(self) -> bytes:
        """What to send first."""

    def answer(self, data: bytes) -> tuple[int, bytes]:
        """How many commands `data` completes, and what to send now."""


def command(*arguments: bytes) -> bytes:
    """As Redis clients send it."""
    parts = [b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in arguments]
    return b"*%d\r\n%s" % (len(arguments), b"".join(parts))


class RedisConversation:
    """Blocks of `pipeline` SETs and GETs; a block is sent when the last one is answered.

    Values hold neither "+" nor "$", so that these count the replies; "ER" is in every error.
    """

    def __init__(self, pipeline: int, reads: float, random: Random) -> None:
        self._pipeline = pipeline
        self._blocks: Iterator[bytes] = cycle([self._block(reads, random) for _ in range(BLOCKS)])
        self._missing = pipeline

    def _block(self, reads: float, random: Random) -> bytes:
        keys = [b"key:%012d" % random.randrange(KEYS) for _ in range(self._pipeline)]
        value = b"v" * VALUE_BYTES
        return b"".join(
            command(b"GET", key) if random.random() < reads else command(b"SET", key, value) for key in keys
        )

    def begin(self) -> bytes:
        """See Conversation."""
        return next(self._blocks)

    def answer(self, data: bytes) -> tuple[int, bytes]:
        """See Conversation."""
        if b"ER" in data:
            raise RuntimeError(f"an error was answered: {data[:200]!r}")
        self._missing -= data.count(b"+") + data.count(b"$")
        if self._missing:
            return 0, b""
        self._missing = self._pipeline
        return self._pipeline, next(self._blocks)


def drive(port: int, conversations: Sequence[Conversation], begin: float, end: float) -> int:
    """Talk until `end`; the commands completed since `begin` (both on the monotonic clock)."""
    done = 0
    with selectors.DefaultSelector() as selector:
        for conversation in conversations:
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(conversation.begin())
            selector.register(connection, selectors.EVENT_READ, conversation)
        while (now := time.monotonic()) < end:
            for key, _ in selector.select(0.1):
                data = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
                if not data:
                    raise RuntimeError("a connection was closed")
                count, out = key.data.answer(data)
                if out:
                    key.fileobj.sendall(out)  # type: ignore[union-attr]
                if now >= begin:
                    done += count
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return done


def spread(commands: Sequence[list[str]], seconds: float, warm_up_s: float = WARM_UP_S) -> float:
    """Run generators at once; the sum of their rates.

    When all have said that they are ready they are told when to begin and to end to count.
    """
    processes = [
        subprocess.Popen(
            [*GUARD, *one], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for one in commands
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        begin = time.monotonic() + warm_up_s
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{begin} {begin + seconds}\n")
            process.stdin.flush()
        counts = [_count(process, warm_up_s + seconds + 60) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return sum(counts) / seconds


def _count(process: subprocess.Popen[str], timeout_s: float) -> int:
    output, errors = process.communicate(timeout=timeout_s)
    if process.returncode or not output:
        raise RuntimeError(f"a load generator failed: {errors[-500:]}")
    return int(output)


def told_when() -> tuple[float, float]:
    """For a generator: say that it is ready, and hear when to begin and to end to count."""
    print("ready", flush=True)
    begin, end = map(float, sys.stdin.readline().split())
    return begin, end


def generate(
    ports: Sequence[int], connections: int, pipeline: int, seconds: float, reads: float = 0.0
) -> Callable[[], float]:
    """A run of the generator at all ports, `connections` each: commands a second."""
    commands = [python("load", port, connections, pipeline, reads) for port in ports]
    return lambda: spread(commands, seconds)


def main(arguments: Sequence[Any]) -> None:
    """The generator."""
    port, connections, pipeline = map(int, arguments[:3])
    random = Random(port)
    conversations = [RedisConversation(pipeline, float(arguments[3]), random) for _ in range(connections)]
    print(drive(port, conversations, *told_when()))


if __name__ == "__main__":
    main(sys.argv[1:])
