"""`make demo`: three replicas whose state machine is the printer, and concurrent clients at each.

Every replica prints the commands that it executes.  The printed sequences may differ between replicas,
but commands on the same key interfere, so their order must be the same everywhere.  The exit status is 0
if it was.
"""

from __future__ import annotations

import re
import socket
import sys
import tempfile
from argparse import ArgumentParser
from collections import defaultdict
from itertools import zip_longest
from pathlib import Path
from random import SystemRandom
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.endpoints import clientFromString
from twisted.internet.task import deferLater, react

from epaxos.client.connection import connect
from epaxos.config.addresses import client_for
from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config
from epaxos.config.settings import ReplicaConfig
from epaxos.tools.launcher import Launcher

__all__ = ["disagreements", "free_base_port", "main"]

REPLICAS = 3
PROPOSALS = 3
KEYS = ("apples", "pears", "plums")
DEADLINE_S = 60
PRINTED = re.compile(r"(\d+\.\d+) (\S+) (.*)")
WIDTH = 36

Line = tuple[str, str, str]
"""A line of a printer: instance, key, text."""


def free_base_port(n: int) -> int:
    """A base port for `config.example`, of which all ports are free.

    It lies below the ports that systems give to outgoing connections, so that the ports stay free.
    """
    while True:
        base = SystemRandom().randrange(12_000, 31_000)
        with_offsets = [base + id + offset for id in range(n) for offset in (0, 100, 200)]
        if all(map(_is_free, with_offsets)):
            return base


def _is_free(port: int) -> bool:
    """Whether the port is free, for TCP and for UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def disagreements(printed: dict[int, list[Line]]) -> list[str]:
    """The keys on which two replicas printed other commands, or another order: empty if they agree."""
    orders: dict[str, dict[int, list[Line]]] = defaultdict(dict)
    for id, lines in printed.items():
        for line in lines:
            orders[line[1]].setdefault(id, []).append(line)
    found = []
    for key, order in sorted(orders.items()):
        first = order.get(min(printed), [])
        found += [f"{key}: replicas {min(printed)} and {id}" for id in printed if order.get(id, []) != first]
    return found


class _Demo:
    """One run of a cluster in a folder of its own."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        path = folder / "cluster.ini"
        text = example(REPLICAS, free_base_port(REPLICAS), data="data")
        path.write_text(text.replace("[cluster]\n", "[cluster]\nstate_machine = printer\n"))
        self.config: Config = load(path)
        self.printed: dict[int, list[Line]] = {id: [] for id in range(REPLICAS)}
        self.log: list[str] = []
        self._reactor = reactor
        self._launcher = Launcher(reactor, self.config, str(path), self._on_line)

    def _on_line(self, id: int | None, line: str) -> None:
        if id is not None and (match := PRINTED.fullmatch(line)):
            self.printed[id].append((match[1], match[2], match[3]))
        else:
            self.log.append(f"{id} | {line}")

    async def run(self) -> None:
        """Start the cluster, propose commands, wait until all are printed, and stop."""
        self._launcher.start()
        late = self._reactor.callLater(DEADLINE_S, self._launcher.failed.cancel)
        try:
            work = Deferred.fromCoroutine(self._work())
            await DeferredList([work, self._launcher.failed], fireOnOneCallback=True, fireOnOneErrback=True)
        finally:
            if late.active():
                late.cancel()
            await self._launcher.stop()

    async def _work(self) -> None:
        await self._launcher.ready()
        clients = [
            Deferred.fromCoroutine(self._propose(replica, key))
            for replica in self.config.replicas
            for key in KEYS
        ]
        await gatherResults(clients)
        total = len(clients) * PROPOSALS
        while any(len(lines) < total for lines in self.printed.values()):
            await deferLater(self._reactor, 0.05)

    async def _propose(self, replica: ReplicaConfig, key: str) -> None:
        """Send the commands of one client to one replica, one after the other."""
        connection = await connect(clientFromString(self._reactor, client_for(replica.client)))
        for number in range(1, PROPOSALS + 1):
            await connection.ask("PRINT", key, f"from {replica.id}, {number} of {PROPOSALS}")
        connection.close()


def _show(printed: dict[int, list[Line]]) -> None:
    columns = [[f"replica {id}", "-" * (WIDTH - 2), *map(" ".join, lines)] for id, lines in printed.items()]
    for row in zip_longest(*columns, fillvalue=""):
        print("".join(cell.ljust(WIDTH) for cell in row).rstrip())


async def run(reactor: Any) -> None:
    """Run the demonstration.  Raises SystemExit when it fails."""
    clients = f"a client for each of {', '.join(KEYS)}, all at the same time"
    print(f"{REPLICAS} printers; each has {clients}", flush=True)
    with tempfile.TemporaryDirectory(prefix="epaxos-demo-") as folder:
        demo = _Demo(reactor, Path(folder))
        try:
            await demo.run()
        except Exception as error:
            print("\n".join(demo.log), f"the demonstration failed: {error!r}", sep="\n", file=sys.stderr)
            raise SystemExit(1) from None
    _show(demo.printed)
    if found := disagreements(demo.printed):
        print("NOT the same order on: " + "; ".join(found), file=sys.stderr)
        raise SystemExit(1)
    print(f"\nthe commands on each of {', '.join(KEYS)} were executed in one order, the same on all replicas")


def main() -> None:
    """Run the command."""
    ArgumentParser(prog="python -m epaxos.tools.demo", description=__doc__.split("\n")[0]).parse_args()
    react(run)


if __name__ == "__main__":
    main()
