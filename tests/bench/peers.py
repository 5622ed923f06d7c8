"""The systems that ours is held against, where they are installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha1
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.bench.load import spread
from tests.bench.processes import GUARD, free_ports, python, started, wait_for, wait_for_port

__all__ = ["Etcd", "available", "etcd", "pysyncobj", "redis_server"]

TOKEN = "bench"


def available() -> dict[str, str]:
    """Which peers there are: name and version."""
    found = {}
    for name, needs, version in (
        ("Redis", ("redis-server", "redis-benchmark"), ["redis-server", "--version"]),
        ("etcd", ("etcd", "etcdctl"), ["etcd", "--version"]),
    ):
        if all(map(shutil.which, needs)):
            said = subprocess.run(version, capture_output=True, text=True, check=True).stdout
            match = re.search(r"\d+\.\d+\.\d+", said)
            found[name] = match[0] if match else "?"
    if find_spec("pysyncobj") is not None:
        from pysyncobj.version import VERSION

        found["PySyncObj"] = VERSION
    return found


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """One Redis server that keeps nothing on disk; its port."""
    (port,) = free_ports(1)
    options = {"--port": port, "--bind": "127.0.0.1", "--save": "", "--appendonly": "no"}
    flat = [str(part) for pair in options.items() for part in pair]
    with started(["redis-server", *flat], folder / "redis.log", cwd=folder) as process:
        wait_for_port(port, process)
        yield port


# -- etcd


@dataclass
class Etcd:
    """A running cluster."""

    client_ports: list[int]
    ids: list[str]

    def ctl(self, *arguments: str, timeout_s: float = 30) -> str:
        """What etcdctl says."""
        endpoints = ",".join(f"127.0.0.1:{port}" for port in self.client_ports)
        return subprocess.run(
            [*GUARD, "etcdctl", f"--endpoints={endpoints}", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        ).stdout

    def leader(self) -> int:
        """The number of the member that leads."""
        status = json.loads(self.ctl("endpoint", "status", "-w", "json") or "[]")
        leaders = {format(member["Status"].get("leader", 0), "x") for member in status}
        if len(status) < len(self.ids) or len(leaders) != 1 or leaders == {"0"}:
            raise LookupError("there is no leader that all agree on")
        return self.ids.index(leaders.pop())

    def lead(self, member: int) -> None:
        """Make that member the leader."""

        def leads() -> bool:
            try:
                leader = self.leader()
            except LookupError:
                return False
            if leader != member:
                here = Etcd([self.client_ports[leader]], self.ids)
                here.ctl("move-leader", self.ids[member])
            return leader == member

        wait_for(f"member {member} of etcd leads", leads, 60)


def member_id(url: str) -> str:
    """The id that etcd gives to the member with this peer URL when the cluster is made."""
    return format(int.from_bytes(sha1((url + TOKEN).encode()).digest()[:8], "big"), "x")


@contextmanager
def etcd(
    folder: Path,
    n: int = 3,
    peer_ports: Sequence[int] = (),
    advertised_ports: Sequence[int] = (),
    options: Sequence[str] = (),
) -> Iterator[Etcd]:
    """n members, with etcd's default settings (it syncs), empty and ready.

    With `advertised_ports` the members reach each other there, at a relay, instead of at `peer_ports`.
    """
    client_ports = free_ports(n)
    peer_ports = peer_ports or free_ports(n)
    urls = [f"http://127.0.0.1:{port}" for port in advertised_ports or peer_ports]
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="etcd-")))
        for member in range(n):
            command = [
                "etcd",
                f"--name=m{member}",
                f"--data-dir={data}/{member}",
                f"--listen-peer-urls=http://127.0.0.1:{peer_ports[member]}",
                f"--initial-advertise-peer-urls={urls[member]}",
                f"--listen-client-urls=http://127.0.0.1:{client_ports[member]}",
                f"--advertise-client-urls=http://127.0.0.1:{client_ports[member]}",
                "--initial-cluster=" + ",".join(f"m{other}={url}" for other, url in enumerate(urls)),
                f"--initial-cluster-token={TOKEN}",
                "--quota-backend-bytes=8000000000",
                "--logger=zap",
                *options,
            ]
            stack.enter_context(started(command, folder / f"etcd-{member}.log"))
        cluster = Etcd(client_ports, [member_id(url) for url in urls])
        wait_for("etcd has a leader", lambda: _has_leader(cluster), 60)
        yield cluster


def _has_leader(cluster: Etcd) -> bool:
    try:
        cluster.leader()
    except LookupError:
        return False
    return True


# -- PySyncObj


def pysyncobj(folder: Path, outstanding: Sequence[int], seconds: float) -> Callable[[], float]:
    """A run of three processes with journals, of which each has so many SETs of its own outstanding:
    commands a second."""

    def run() -> float:
        ports = free_ports(len(outstanding))
        addresses = [f"127.0.0.1:{port}" for port in ports]
        with tempfile.TemporaryDirectory(dir=folder, prefix="pysyncobj-") as data:
            commands: list[list[Any]] = []
            for number, count in enumerate(outstanding):
                others = [address for address in addresses if address != addresses[number]]
                journal = f"{data}/journal-{number}"
                commands.append(python("pysyncobj_member", addresses[number], *others, journal, count))
            return spread(commands, seconds, warm_up_s=1.0)

    return run
