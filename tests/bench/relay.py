"""A relay that makes links long: `python -m tests.bench.relay FILE`, a JSON list of `Link`s.

Everything that arrives on a link is passed on after half the round trip, in each direction.  For few
and small messages: nothing slows a sender down when the receiver does not take what it is sent.
On SIGTERM it prints what it saw, as JSON: see `Seen`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet import selectreactor

if __name__ == "__main__":
    selectreactor.install()  # type: ignore[no-untyped-call]  # epoll waits in whole milliseconds, which is too coarse here

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.messages import Commit
from epaxos.wire.codec import decode_frame
from epaxos.wire.frames import FrameReader

__all__ = ["Link", "Seen"]

SENDER = re.compile(rb"X-Server-From: ([0-9a-f]+)\r\n", re.IGNORECASE)
FRAME_BYTES_MAX = 64_000_000


@dataclass
class Link:
    """Connections to `port` go on to `to`.

    `round_trip_s` says how long that is: by the member of etcd that an HTTP request names as its
    sender, else the entry "".  `replica` is which of our `n` replicas dials this port, None for etcd.
    """

    port: int
    to: int
    round_trip_s: dict[str, float]
    replica: int | None = None
    n: int = 0


@dataclass
class Seen:
    """By how many milliseconds each piece was late, and when (on the monotonic clock) each replica first
    told the decisions of its own instances."""

    late_ms: list[float] = field(default_factory=list)
    commits: dict[int, dict[int, float]] = field(default_factory=dict)


class Delay:
    """What is given comes out `delay_s` later, in the order in which it came."""

    def __init__(self, reactor: Any, late_ms: list[float], now: Callable[[], float]) -> None:
        self._reactor = reactor
        self._now = now
        self._late_ms = late_ms
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self.delay_s = 0.0

    def give(self, out: Callable[[], None]) -> None:
        """Call `out` later."""
        self._waiting.append((self._now() + self.delay_s, out))
        if len(self._waiting) == 1:
            self._reactor.callLater(self.delay_s, self._on_due)

    def _on_due(self) -> None:
        waiting = self._waiting
        while waiting and (late_s := self._now() - waiting[0][0]) >= 0:
            self._late_ms.append(late_s * 1000)
            waiting[0][1]()
            waiting.popleft()
        if waiting:
            self._reactor.callLater(max(0.0, -late_s), self._on_due)


class CommitWatch:
    """Notes when a replica first tells a decision of its own, out of the frames that it sends."""

    def __init__(self, link: Link, seen: Seen) -> None:
        self._replica, self._n = link.replica, link.n
        self._commits = seen.commits.setdefault(link.replica or 0, {})
        self._frames = FrameReader(FRAME_BYTES_MAX)

    def feed(self, data: bytes) -> None:
        """What the replica sent."""
        now = time.monotonic()
        for frame in self._frames.feed(data):
            try:
                messages = decode_frame(frame, Epoch.first(self._n))
            except ValueError:
                continue  # the greeting
            for message in messages:
                if isinstance(message, Commit) and message.id.replica == self._replica:
                    self._commits.setdefault(message.id.slot, now)


class End(Protocol):
    """One end of a relayed connection: what it receives leaves later at the other one."""

    other: End

    def __init__(self, delay: Delay) -> None:
        self.delay = delay

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.delay.give(lambda: self.other.transport.write(data))  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.delay.give(lambda: self.other.transport.loseConnection())  # type: ignore[union-attr]


class DialingEnd(End):
    """The end of who dialed; it reads nothing before there is another end."""

    def __init__(self, reactor: Any, link: Link, seen: Seen) -> None:
        super().__init__(Delay(reactor, seen.late_ms, time.monotonic))
        self._reactor = reactor
        self._link = link
        self._watch = CommitWatch(link, seen) if link.replica is not None else None
        self._is_first = True
        self.other = End(Delay(reactor, seen.late_ms, time.monotonic))
        self.other.other = self

    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.pauseProducing()  # type: ignore[union-attr]
        endpoint = TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._link.to)
        dialed = endpoint.connect(Factory.forProtocol(lambda: self.other))
        dialed.addCallbacks(self._on_dialed, self._on_not_dialed)

    def _on_dialed(self, _: object) -> None:
        self.transport.resumeProducing()  # type: ignore[union-attr]

    def _on_not_dialed(self, _: object) -> None:
        self.transport.loseConnection()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        if self._is_first:
            self._is_first = False
            match = SENDER.search(data)
            trips = self._link.round_trip_s
            trip = trips.get(match[1].decode() if match else "", trips[""])
            self.delay.delay_s = self.other.delay.delay_s = trip / 2
        if self._watch is not None:
            self._watch.feed(data)
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.other.transport is not None:
            super().connectionLost(reason)


class LinkFactory(Factory):
    """Accepts on one link."""

    noisy = False

    def __init__(self, reactor: Any, link: Link, seen: Seen) -> None:
        self._arguments = reactor, link, seen

    def buildProtocol(self, address: IAddress | None) -> Protocol:
        return DialingEnd(*self._arguments)


def main(path: str) -> None:
    """Relay until told to stop."""
    from twisted.internet import reactor

    loop: Any = reactor
    seen = Seen()
    for link in json.loads(Path(path).read_text()):
        loop.listenTCP(link["port"], LinkFactory(loop, Link(**link), seen), interface="127.0.0.1")
    loop.run()
    print(json.dumps(asdict(seen)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
