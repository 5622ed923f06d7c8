"""Coroutines that count through one client: `python -m tests.cluster.client_load ADDRESS…`.

They begin at once, end when stdin is closed, and print what happened as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.python.failure import Failure

from epaxos.client import Client

__all__ = ["COROUTINES"]

COROUTINES = 20


class _Input(Protocol):
    """`is_over`: whether stdin is closed."""

    is_over = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_over = True


class _Load:
    def __init__(self, client: Client, reactor: Any, stdin: _Input) -> None:
        self._client = client
        self._reactor = reactor
        self._stdin = stdin
        self.replies: list[int] = []
        self.errors: list[str] = []
        self.waits_s: list[float] = []

    async def count(self) -> None:
        """Count until stdin is closed."""
        while not self._stdin.is_over:
            began = self._reactor.seconds()
            try:
                self.replies.append(await self._client.call("INCR", "sum"))
            except Exception as error:
                self.errors.append(repr(error))
            self.waits_s.append(self._reactor.seconds() - began)


async def run(reactor: Any, addresses: list[str]) -> None:
    """Count, and print what happened."""
    stdin = _Input()
    StandardIO(stdin, reactor=reactor)
    client = Client(addresses, reactor=reactor)
    load = _Load(client, reactor, stdin)
    await gatherResults([Deferred.fromCoroutine(load.count()) for _ in range(COROUTINES)])
    await client.close()
    waits_s = sorted(load.waits_s)
    print(
        json.dumps(
            {
                "replies": load.replies,
                "errors": load.errors,
                "median_s": waits_s[len(waits_s) // 2],
                "longest_s": waits_s[-10:],
            }
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.client_load", description=__doc__)
    parser.add_argument("addresses", nargs="+")
    react(run, [parser.parse_args(sys.argv[1:]).addresses])
