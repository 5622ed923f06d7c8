"""What the programs run at: three replicas, of which one is killed in the middle, or a real Redis."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol
from unittest import SkipTest

from tests.cluster.harness import Cluster

__all__ = ["OneRedis", "Server", "ThreeReplicas"]

START_S = 20.0


class Server(Protocol):
    """Something that programs run at; a context manager."""

    ports: list[int]
    """Where the programs find it; they use the first one alone, unless they know what to do with others."""

    def __enter__(self) -> Server:
        """Start it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Stop it, and remove everything."""

    def disturb(self, follows: bool) -> None:
        """What happens in the middle.  `follows`: whether the program goes to another port by itself."""

    def check(self) -> None:
        """What has to be so at the end."""


class ThreeReplicas:
    """Three replicas, each a process of its own."""

    def __init__(self) -> None:
        self._cluster = Cluster()
        self.ports = self._cluster.redis_ports

    def __enter__(self) -> ThreeReplicas:
        self._cluster.__enter__()
        self._cluster.start().ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._cluster.__exit__(kind, error, at)

    def disturb(self, follows: bool) -> None:
        """Kill the replica that the program uses if it follows, and else another one."""
        self._cluster.kill(0 if follows else 1)

    def check(self) -> None:
        """Start again who was killed; all replicas have equal states."""
        killed = [id for id in self._cluster.members if id not in self._cluster.processes]
        if killed:
            self._cluster.start(*killed).ready()
        self._cluster.equal_digests()


class OneRedis:
    """A redis-server, which shows that a program does what it should.  Raises SkipTest without one."""

    def __init__(self, *options: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise SkipTest("redis-server is not installed")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.ports = [free.getsockname()[1]]
        self._folder = Path(tempfile.mkdtemp(prefix="epaxos-redis-"))
        self._command = [program, "--port", str(self.ports[0]), "--save", "", "--dir", str(self._folder)]
        self._command += options

    def __enter__(self) -> OneRedis:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while not self._is_there():
            assert time.monotonic() < deadline, "redis-server does not start"
            time.sleep(0.02)
        return self

    def _is_there(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.ports[0])).close()
        except OSError:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def disturb(self, follows: bool) -> None:
        """Nothing: there is one server."""

    def check(self) -> None:
        """Nothing."""
