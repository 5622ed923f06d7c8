"""The processes that the bench starts: none of them outlives it, whatever becomes of it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.harness import Cluster

__all__ = [
    "GUARD",
    "MEMORY",
    "BenchCluster",
    "cluster",
    "free_ports",
    "is_open",
    "python",
    "started",
    "wait_for",
    "wait_for_port",
]

GUARD = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
"""The kernel kills what is started with this when the bench dies, even by SIGKILL."""

MEMORY = "\n[storage]\nengine = memory\n"


class BenchCluster(Cluster):
    """Our replicas in processes, with the default settings but for those given."""

    def command(self, id: int) -> list[str]:
        """See Cluster."""
        return [*GUARD, *super().command(id)]


@contextmanager
def cluster(n: int = 3, settings: str = "", source: Path | None = None) -> Iterator[BenchCluster]:
    """A cluster that is ready; `source` is the folder of another epaxos to run."""
    replicas = BenchCluster(n, settings, source=source)
    with replicas:
        replicas.start()
        replicas.ready()
        yield replicas


@contextmanager
def started(command: Sequence[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process, for as long as the context lasts; what it says goes to the file."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*GUARD, *command], stdout=out, stderr=out, stdin=subprocess.DEVNULL, **options
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def python(module: str, *arguments: object) -> list[str]:
    """The command that runs a module of the bench."""
    return [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with_sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listening.getsockname()[1] for listening in with_sockets]
    finally:
        for listening in with_sockets:
            listening.close()


def wait_for_port(port: int, process: subprocess.Popen[bytes], timeout_s: float = 20) -> None:
    """Wait until the process accepts connections there."""

    def accepts() -> bool:
        assert process.poll() is None, f"{process.args!r} ended with status {process.returncode}"
        return is_open(port)

    wait_for(f"port {port} is open", accepts, timeout_s)


def is_open(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(what: str, is_so: Callable[[], Any], timeout_s: float = 20) -> Any:
    """Wait, looking every millisecond, and return what was true."""
    end = time.monotonic() + timeout_s
    while not (result := is_so()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(0.001)
    return result
