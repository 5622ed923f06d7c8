"""Network namespaces, one for each replica, and a router between them that drops packets in one direction.

The relay (`tests/cluster/relay.py`) ends connections itself, so a peer's kernel always gets its
acknowledgements.  Here the packets are dropped, those with acknowledgements, too.  It takes root and
iproute2; `why_not` says whether it works on this machine.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import redis

from tests.cluster.harness import Cluster
from tests.cluster.load import connect

__all__ = ["NamespacedCluster", "Namespaces", "inside", "why_not"]

_NETWORK = 0x40000000  # CLONE_NEWNET
_DROPPED = "10"
"""The preference of the rules that drop; the kernel's own for the routes of a host has 0."""


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Let this thread, and the threads and processes that it starts, use the network of a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{namespace}") as there:
        if libc.setns(there.fileno(), _NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(before.fileno(), _NETWORK)


def why_not() -> str:
    """Why this machine cannot drop packets between namespaces; empty when it can."""
    try:
        with Namespaces(2) as spaces:
            spaces.cut(0, 1)
    except OSError as error:
        return str(error)
    return ""


class Namespaces:
    """The namespaces of n replicas.  A context manager: within it, this thread is at the router."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._router = f"epaxos-{os.getpid()}-router"

    def name(self, id: int) -> str:
        """The namespace of a replica."""
        return f"epaxos-{os.getpid()}-{id}"

    def host(self, id: int) -> str:
        """The address of a replica."""
        return f"10.77.{id}.2"

    def __enter__(self) -> Namespaces:
        try:
            self._make()
            self._within = inside(self._router)
            self._within.__enter__()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._within.__exit__(kind, error, trace)
        self._remove()

    def _make(self) -> None:
        _ip("netns", "add", self._router)
        _ip("-n", self._router, "link", "set", "lo", "up")
        _ip("netns", "exec", self._router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        for id in range(self.n):
            name, gateway = self.name(id), f"10.77.{id}.1"
            _ip("netns", "add", name)
            _ip("link", "add", f"to{id}", "netns", self._router, "type", "veth", "peer", "out", "netns", name)
            for where, device, address in ((self._router, f"to{id}", gateway), (name, "out", self.host(id))):
                _ip("-n", where, "addr", "add", f"{address}/30", "dev", device)
                _ip("-n", where, "link", "set", device, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "route", "add", "default", "via", gateway)

    def _remove(self) -> None:
        for name in (self._router, *map(self.name, range(self.n))):
            with suppress(OSError):
                _ip("netns", "del", name)

    def cut(self, sender: int, receiver: int) -> None:
        """Drop every packet from one replica to another."""
        self._rule("add", sender, receiver)

    def heal(self, sender: int, receiver: int) -> None:
        """End a cut."""
        self._rule("del", sender, receiver)

    def _rule(self, do: str, sender: int, receiver: int) -> None:
        ends = ("from", self.host(sender), "to", self.host(receiver))
        _ip("-n", self._router, "rule", do, "pref", _DROPPED, *ends, "blackhole")


class NamespacedCluster(Cluster):
    """A cluster whose replicas live in the namespaces."""

    def __init__(self, spaces: Namespaces, settings: str = "", transport: str = "tcp") -> None:
        super().__init__(spaces.n, settings, transport)
        self._spaces = spaces
        first, *replicas = self.config.read_text().split("[replica ")
        self.hosts = [spaces.host(id) for id in range(spaces.n)]
        replicas = [
            re.sub(r"(client = tcp:\d+):.*", r"\1", text).replace("127.0.0.1", host)
            for text, host in zip(replicas, self.hosts)
        ]
        self.config.write_text("[replica ".join([first, *replicas]))

    def operator(self, id: int) -> redis.Redis:
        """A client on the replica's own host."""
        with inside(self._spaces.name(id)):
            client = connect(self.redis_ports[id])
            client.ping()
        return client

    def command(self, id: int) -> list[str]:
        """See Cluster."""
        return ["ip", "netns", "exec", self._spaces.name(id), *super().command(id)]
