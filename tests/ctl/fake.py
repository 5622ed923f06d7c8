"""A replica's client port that answers whatever a test wants, and the command line that asks it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any

import hiredis
from click.testing import CliRunner, Result

from epaxos.ctl.main import cli

__all__ = ["Fake", "Raw", "encoded", "member", "members", "run", "run_process", "status"]

PATIENCE_S = 10


class Raw(bytes):
    """Bytes that are sent as they are."""


def encoded(value: Any) -> bytes:
    """A reply in RESP2; an exception is an error."""
    if isinstance(value, Raw):
        return value
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, Exception):
        return b"-%s\r\n" % str(value).encode()
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))
    data = value if isinstance(value, bytes) else str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


class Fake:
    """A server on a port of its own; a context manager, which closes it.

    `replies` has what is answered to a command, by its words; a function is called for each question.
    A command that is not there gets the error that a replica has for it.  `asked`: all commands that came.
    """

    def __init__(self, replies: Mapping[str, Any], path: str | None = None) -> None:
        self.replies = dict(replies)
        self.asked: list[str] = []
        self.connections: list[socket.socket] = []
        if path is None:
            self._listening = socket.create_server(("127.0.0.1", 0))
            self.port: int = self._listening.getsockname()[1]
            self.at = f"127.0.0.1:{self.port}"
        else:
            self._listening = socket.socket(socket.AF_UNIX)
            self._listening.bind(path)
            self._listening.listen()
            self.at = path
        self._thread = Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Fake:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self.connections:
            connection.close()
        self._thread.join(PATIENCE_S)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections.append(connection)
                Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = hiredis.Reader()
        with suppress(OSError), connection:
            while data := connection.recv(65536):
                reader.feed(data)
                while (words := reader.gets()) is not False:
                    command = b" ".join(words).decode()
                    self.asked.append(command)
                    reply = self.replies.get(
                        command, ValueError(f"ERR unknown command '{words[0].decode()}'")
                    )
                    connection.sendall(encoded(reply() if callable(reply) else reply))


def member(number: int, client: str, peer: str = "tcp:127.0.0.1:7000", state: str = "connected") -> list[Any]:
    """A row of `EPAXOS MEMBERS`."""
    return [number, peer, client, "tcp:7200:interface=127.0.0.1", state]


def status(number: int, committed: list[int], executed: list[int], **other: Any) -> str:
    """What `EPAXOS STATUS` answers."""
    counters = {
        "instances_held": 7,
        "commands_queued": 0,
        "store_bytes": 2_500_000,
    }
    fields: dict[str, Any] = {
        "id": number,
        "cluster": "test",
        "state_machine": "kv",
        "running": True,
        "digest": None,
        "counters": counters,
        "members": [{"id": id, "up": True} for id in range(3)],
        "committed": committed,
        "executed": executed,
        "epoch": {"number": 3, "version": 2},
    }
    return json.dumps({**fields, **other})


def members(*fakes: Fake, rows: Callable[[list[list[Any]]], Any] = lambda rows: rows) -> None:
    """Have each of the fakes be a member, with a status; each names all of them."""
    for here, fake in enumerate(fakes):
        all_rows = [
            member(
                number,
                f"tcp:{other.port}:interface=127.0.0.1",
                state="here" if number == here else "connected",
            )
            for number, other in enumerate(fakes)
        ]
        fake.replies.setdefault("EPAXOS MEMBERS", rows(all_rows))
        fake.replies.setdefault("EPAXOS STATUS", status(here, [10, 20, 5 + here], [10, 20, 5]))
        fake.replies.setdefault(
            "EPAXOS STATUS DIGEST", status(here, [10, 20, 5 + here], [10, 20, 5], digest="aa")
        )
        fake.replies.setdefault("INFO memory", "# Memory\r\nused_memory:123456789\r\nmaxmemory:0\r\n")


def run(*arguments: object, env: Mapping[str, str] | None = None) -> Result:
    """The command in this process.  Its stdout and its stderr are no terminals."""
    return CliRunner(env=env).invoke(cli, list(map(str, arguments)))


def run_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "epaxos.ctl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
