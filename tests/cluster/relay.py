"""A relay between replicas that cuts, delays and flaps links, without root.

Every replica reaches every other one through a port of its own here, so that the relay knows the direction
and the pair of all bytes.  It is a process: it reads orders as lines of JSON from its standard input, answers
each with a line on its standard output, and ends with its input.  `tests/cluster/links.py` starts it.

The mode of a link decides what becomes of the bytes of its direction, on all connections of the pair:

pass    they go on in order, after `delay_ms` and up to `jitter_ms` more
hold    they wait until the link passes again: TCP survives this cut
lose    they are lost, and the connection ends when the link passes again: TCP does not survive this cut
close   connections that were dialled in this direction are reset, and so are new ones

Datagrams are dropped in every mode but pass.  A link may also lose some and deliver some twice; on a delayed
link datagrams may overtake each other.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from contextlib import suppress
from random import Random
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Factory, Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

__all__ = ["MODES", "Relay"]

MODES = ("pass", "hold", "lose", "close")
QUEUE_BYTES_MAX = 16_000_000
"""Bytes on their way in one direction of a connection, from which on no more are read."""
_END = b""


class Link:
    """One direction of a pair of replicas, and all flows in it."""

    def __init__(self, random: Random) -> None:
        self.mode = "pass"
        self.delay_s = 0.0
        self.jitter_s = 0.0
        self.lost = 0.0
        self.doubled = 0.0
        self.flows: set[Flow] = set()
        self.dialled: set[Accepted] = set()
        self.bytes = 0
        self._random = random

    @property
    def passes(self) -> bool:
        return self.mode == "pass"

    def latency_s(self) -> float:
        """The delay of the next bytes, in seconds."""
        return self.delay_s + self.jitter_s * self._random.random() if self.jitter_s else self.delay_s

    def copies(self) -> int:
        """How often the next datagram arrives."""
        if not self.passes or (self.lost and self._random.random() < self.lost):
            return 0
        return 2 if self.doubled and self._random.random() < self.doubled else 1

    def change(self, mode: str) -> None:
        """Change the mode for all bytes that arrive from now on, and for those on their way."""
        self.mode = mode
        for connection in list(self.dialled):
            connection.on_link_changed()
        for flow in list(self.flows):
            flow.on_link_changed()


class Flow:
    """The bytes of one direction of one connection: from one transport over a link to another."""

    def __init__(self, link: Link, clock: Any, source: Any) -> None:
        self.source = source
        self._link = link
        self._clock = clock
        self._sink: Any = None
        self._queue: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._last_due = 0.0
        self._timer: IDelayedCall | None = None
        self._sink_full = False
        self._paused = False
        self._lost_some = False
        self._over = False
        link.flows.add(self)

    def feed(self, data: bytes) -> None:
        """Take bytes; `_END` stands for the end of the connection."""
        if self._over:
            return
        if self._link.mode == "lose":
            self._lost_some = True
            return
        self._last_due = max(self._last_due, self._clock.seconds() + self._link.latency_s())
        self._queue.append((self._last_due, data))
        self._bytes += len(data)
        self._pump()

    def connect(self, sink: Any) -> None:
        """Set the transport that the bytes go to."""
        self._sink = sink
        sink.registerProducer(self, True)
        self._pump()

    def on_link_changed(self) -> None:
        if self._link.passes and self._lost_some:
            self.source.abortConnection()
            if self._sink is not None:
                self._sink.abortConnection()
            self.end()
        else:
            self._pump()

    def end(self) -> None:
        """Drop all bytes from now on."""
        if not self._over:
            self._over = True
            self._queue.clear()
            self._link.flows.discard(self)
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            if self._sink is not None:
                self._sink.unregisterProducer()

    def _pump(self) -> None:
        """Deliver the bytes that are due."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._over or self._sink is None or self._sink_full or not self._link.passes:
            return self._regulate()
        now = self._clock.seconds()
        chunks = []
        ended = False
        while self._queue and self._queue[0][0] <= now:
            chunk = self._queue.popleft()[1]
            chunks.append(chunk)
            ended = chunk == _END
        data = b"".join(chunks)
        self._bytes -= len(data)
        self._link.bytes += len(data)
        if data:
            self._sink.write(data)
        if ended:
            sink = self._sink
            self.end()
            sink.loseConnection()
        elif self._queue:
            self._timer = self._clock.callLater(self._queue[0][0] - now, self._pump)
        return self._regulate()

    def _regulate(self) -> None:
        pause = self._bytes > QUEUE_BYTES_MAX
        if pause != self._paused and not self._over:
            self._paused = pause
            if pause:
                self.source.pauseProducing()
            else:
                self.source.resumeProducing()

    def pauseProducing(self) -> None:
        """See IPushProducer: the sink is full."""
        self._sink_full = True

    def resumeProducing(self) -> None:
        """See IPushProducer."""
        self._sink_full = False
        self._pump()

    def stopProducing(self) -> None:
        """See IPushProducer: the sink has ended."""
        self._sink_full = True


class Accepted(Protocol):
    """A connection that a replica has dialled; the relay dials the other replica."""

    def __init__(self, port: RelayPort) -> None:
        self.port = port
        self.gone = False
        self.flow: Flow | None = None
        self._dialled: Dialled | None = None

    def connectionMade(self) -> None:
        """See Protocol.  In a cut the other replica does not hear of the connection."""
        self.port.link.dialled.add(self)
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]
        self.flow = Flow(self.port.link, self.port.clock, self.transport)
        self.on_link_changed()

    def on_link_changed(self) -> None:
        mode = self.port.link.mode
        if mode == "close":
            self.abort()
        elif mode == "pass" and self._dialled is None:
            self._dialled = Dialled(self, Flow(self.port.back, self.port.clock, None))
            self.port.dial(self._dialled)

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        assert self.flow is not None
        self.flow.feed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol."""
        self.gone = True
        self.port.link.dialled.discard(self)
        assert self.flow is not None
        if self._dialled is not None:
            self._dialled.flow.end()
        if self._dialled is not None and self._dialled.transport is not None:
            self.flow.feed(_END)
        else:
            self.flow.end()

    def abort(self) -> None:
        """Reset this connection and the one to the other replica."""
        if self._dialled is not None:
            self._dialled.abort()
        self.transport.abortConnection()  # type: ignore[union-attr]


class Dialled(Protocol):
    """The connection from the relay to the other replica."""

    def __init__(self, accepted: Accepted, flow: Flow) -> None:
        self.accepted = accepted
        self.flow = flow

    def connectionMade(self) -> None:
        """See Protocol."""
        if self.accepted.gone:
            self.abort()
            return
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]
        self.flow.source = self.transport
        self.flow.connect(self.accepted.transport)
        assert self.accepted.flow is not None
        self.accepted.flow.connect(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        self.flow.feed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol."""
        assert self.accepted.flow is not None
        self.accepted.flow.end()
        self.flow.feed(_END)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]


class _To(ClientFactory):
    noisy = False

    def __init__(self, dialled: Dialled) -> None:
        self._dialled = dialled

    def buildProtocol(self, address: object) -> Dialled:
        return self._dialled

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._dialled.accepted.abort()


class RelayPort(Factory):
    """The port where one replica reaches another.  `link` is that direction, `back` the other."""

    noisy = False

    def __init__(self, reactor: Any, link: Link, back: Link, target: int) -> None:
        self.clock = reactor
        self.link = link
        self.back = back
        self._target = target

    def buildProtocol(self, address: object) -> Accepted:
        """See IProtocolFactory."""
        return Accepted(self)

    def dial(self, dialled: Dialled) -> None:
        """Connect to the target.  A failure ends the incoming connection."""
        self.clock.connectTCP("127.0.0.1", self._target, _To(dialled), timeout=5)


class DatagramPort(DatagramProtocol):
    """The port where one replica sends datagrams to another.

    They leave from the port in `ports` through which the other one answers, because it takes them from there
    only.
    """

    def __init__(
        self, clock: Any, link: Link, target: int, back: tuple[int, int], ports: dict[Any, DatagramPort]
    ) -> None:
        self._clock = clock
        self._link = link
        self._target = ("127.0.0.1", target)
        self._back = back
        self._ports = ports

    def datagramReceived(self, datagram: bytes, address: object) -> None:
        """See DatagramProtocol."""
        for _ in range(self._link.copies()):
            latency_s = self._link.latency_s()
            if latency_s:
                self._clock.callLater(latency_s, self._hand_on, datagram)
            else:
                self._hand_on(datagram)

    def _hand_on(self, datagram: bytes) -> None:
        if self._link.passes and (port := self._ports.get(self._back)):
            self._link.bytes += len(datagram)
            with suppress(OSError):  # the receiver's buffer is full
                port.transport.write(datagram, self._target)  # type: ignore[union-attr]

    def connectionRefused(self) -> None:
        """See DatagramProtocol: nobody listens there now."""


class Relay(LineReceiver):
    """All links, and the orders for them."""

    delimiter = b"\n"
    MAX_LENGTH = 1_000_000

    def __init__(self, reactor: Any, seed: int = 0) -> None:
        self._reactor = reactor
        self._random = Random(seed)
        self._links: dict[tuple[int, int], Link] = {}
        self._datagram_ports: dict[tuple[int, int], DatagramPort] = {}

    def _link(self, sender: int, receiver: int) -> Link:
        return self._links.setdefault((sender, receiver), Link(self._random))

    def lineReceived(self, line: bytes) -> None:
        """See LineReceiver: carry out one order and answer it."""
        order = json.loads(line)
        answer = getattr(self, f"do_{order.pop('do')}")(**order)
        self.sendLine(json.dumps(answer).encode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol: the process that gives the orders has ended."""
        self._reactor.stop()

    def do_open(self, pair: tuple[int, int], target: int, transport: str) -> int:
        """The port through which the first of the pair reaches the second, which listens on `target`."""
        sender, receiver = pair
        link, back = self._link(sender, receiver), self._link(receiver, sender)
        if transport == "tcp":
            port = RelayPort(self._reactor, link, back, target)
            listening = self._reactor.listenTCP(0, port, interface="127.0.0.1")
        else:
            ports = self._datagram_ports
            ports[sender, receiver] = DatagramPort(self._reactor, link, target, (receiver, sender), ports)
            listening = self._reactor.listenUDP(
                0, ports[sender, receiver], interface="127.0.0.1", maxPacketSize=65_536
            )
            handle = listening.getHandle()
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                handle.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
        number: int = listening.getHost().port
        return number

    def do_set(self, pairs: list[tuple[int, int]], mode: str) -> None:
        """Set the mode of these links."""
        if mode not in MODES:
            raise ValueError(f"{mode} is none of {MODES}")
        for sender, receiver in pairs:
            self._links[sender, receiver].change(mode)

    def do_delay(self, pairs: list[tuple[int, int]], delay_ms: float, jitter_ms: float) -> None:
        """Set the delay of these links."""
        for sender, receiver in pairs:
            link = self._links[sender, receiver]
            link.delay_s, link.jitter_s = delay_ms / 1000, jitter_ms / 1000

    def do_lose(self, pairs: list[tuple[int, int]], lost: float, doubled: float) -> None:
        """Set which shares of the datagrams of these links are lost, and delivered twice."""
        for sender, receiver in pairs:
            link = self._links[sender, receiver]
            link.lost, link.doubled = lost, doubled

    def do_counters(self) -> list[tuple[int, int, int]]:
        """The number of delivered bytes of each link."""
        return [(sender, receiver, link.bytes) for (sender, receiver), link in self._links.items()]


def main() -> None:
    """Run the relay until its input ends."""
    from twisted.internet import reactor

    StandardIO(Relay(reactor))
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
