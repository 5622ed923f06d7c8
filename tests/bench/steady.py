"""SETs of random keys at a fixed rate, by one process for each port, beside what is measured.

`python -m tests.bench.steady PORT RATE PIPELINE` sends until its input ends, then prints how many were
answered and how many seconds that took.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.bench.load import RedisConversation
from tests.bench.processes import GUARD, python

__all__ = ["BESIDE_PER_S", "Steady", "drive_steadily"]

BESIDE_PER_S = 20_000
"""SETs a second beside what is measured, in all."""
PIPELINE = 100
OUTSTANDING_MAX = 32
"""Blocks of one connection that are not answered; beyond that the next ones come later."""


class Steady:
    """`rate` SETs a second in all at these ports, from `__enter__` to `__exit__`.

    `per_s`: how many a second were answered, known after `__exit__`.
    """

    def __init__(self, ports: Sequence[int], rate: float = BESIDE_PER_S, pipeline: int = PIPELINE) -> None:
        self.per_s = 0.0
        self._commands = [python("steady", port, rate / len(ports), pipeline) for port in ports]
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Steady:
        for command in self._commands:
            self._processes.append(
                subprocess.Popen(
                    [*GUARD, *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        for process in self._processes:
            assert process.stdout is not None
            process.stdout.readline()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.per_s = sum(map(_answered_per_s, self._processes))
        finally:
            for process in self._processes:
                process.kill()
                process.wait()
            self._processes.clear()


def _answered_per_s(process: subprocess.Popen[str]) -> float:
    """Let the process end.  Raises RuntimeError when it has failed."""
    output, errors = process.communicate(timeout=60)
    if process.returncode or not output:
        raise RuntimeError(f"a load generator failed: {errors[-500:]}")
    count, seconds = output.split()
    return int(count) / float(seconds)


def drive_steadily(port: int, rate: float, pipeline: int, told: Any) -> tuple[int, float]:
    """Send blocks of `pipeline` SETs at their times until there is something to read at `told`.

    Returns how many SETs were answered, and in how many seconds.  Raises RuntimeError when one was refused,
    or the connection was closed.
    """
    conversation = RedisConversation(pipeline, 0.0, Random(port))
    sent = answered = 0
    with selectors.DefaultSelector() as selector, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        selector.register(told, selectors.EVENT_READ)
        begin = time.monotonic()
        while True:
            ahead_s = sent / rate - (time.monotonic() - begin)
            if ahead_s <= 0 and sent - answered < OUTSTANDING_MAX * pipeline:
                connection.sendall(conversation.begin())
                sent += pipeline
                continue
            for key, _ in selector.select(max(0.0, ahead_s) or 1.0):
                if key.fileobj is told:
                    return answered, time.monotonic() - begin
                data = connection.recv(1 << 18)
                if not data or b"-" in data:
                    raise RuntimeError(f"instead of an answer: {data[:200]!r}")
                answered += data.count(b"+")


def main(arguments: Sequence[str]) -> None:
    """The generator."""
    port, pipeline = int(arguments[0]), int(arguments[2])
    print("ready", flush=True)
    told = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    print(*drive_steadily(port, float(arguments[1]), pipeline, told))


if __name__ == "__main__":
    main(sys.argv[1:])
