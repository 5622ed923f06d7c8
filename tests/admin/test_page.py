"""What the page at `/` is told: samples, warnings, what other members see; and who may see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.admin.files import FILES
from epaxos.admin.history import FIELDS, SAMPLES_MAX, History
from epaxos.admin.last_warnings import LINES_MAX, LastWarnings
from epaxos.admin.live import MISSED_MAX, WATCHERS_MAX, Present
from epaxos.admin.neighbours import ASK_S, PATIENCE_S, MemberPlace, Neighbours
from epaxos.admin.quantiles import quantile
from epaxos.admin.status import status_site
from epaxos.interfaces.metrics import BOUNDS_S, Definition, Histogram, IMeasured, Kind, Metric
from epaxos.net.door import Door
from tests.admin.test_status import Clients

STATUS = {
    "id": 0,
    "cluster": "c",
    "running": True,
    "epoch": {"number": 3, "behind": None},
    "clock": {},
    "committed": [5, 6],
    "executed": [5, 4],
    "members": [{"id": 0, "up": True}, {"id": 1, "up": False}],
}
PLACES = [
    MemberPlace(0, "tcp:a:1", "tcp:a:2", True),
    MemberPlace(1, "tcp:b:1", "tcp:127.0.0.1:2", False),
    MemberPlace(2, "", "", False),
]


@implementer(IMeasured)
class Measured:
    def __init__(self) -> None:
        self.numbers = {"epaxos_commands_received": 0.0, "epaxos_clients": 7.0}
        self.waits = Histogram()

    def metrics(self) -> Iterator[Metric]:
        for name, value in self.numbers.items():
            yield Metric(Definition(name, Kind.GAUGE, ""), [((), value)])
        yield Metric(Definition("epaxos_command_seconds", Kind.HISTOGRAM, ""), [(("x",), self.waits)])


class QuantileTests(SynchronousTestCase):
    def test_it_is_between_bounds(self) -> None:
        width = len(BOUNDS_S) + 1
        for share, counts, wanted in (
            (0.5, [], None),
            (0.5, [4], BOUNDS_S[0] / 2),
            (1.0, [4], BOUNDS_S[0]),
            (0.75, [2, 2], (BOUNDS_S[0] + BOUNDS_S[1]) / 2),
            (0.99, [0] * (width - 1) + [3], BOUNDS_S[-1]),
        ):
            found = quantile(share, counts + [0] * (width - len(counts)))
            self.assertEqual(None if found is None else round(found, 9), wanted and round(wanted, 9))


class HistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.part = Clock(), Measured()
        self.history = History([self.part], self.clock, lambda: 1000 + self.clock.seconds())
        self.history.start()
        self.clock.advance(1)

    def second(self, commands: int) -> dict[str, Any]:
        self.part.numbers["epaxos_commands_received"] += commands
        self.part.waits.add(0.002, commands)
        self.clock.advance(1)
        return dict(zip(FIELDS, self.history.samples[-1]))

    def test_each_second_by_itself(self) -> None:
        self.second(5)
        shown = self.second(3)
        self.assertEqual((shown["received"], shown["clients"], shown["time_ms"]), (3, 7, 1_003_000))
        self.assertTrue(0.001 < shown["p50_s"] < shown["p99_s"] <= 0.002)
        shown = self.second(0)
        self.assertEqual((shown["received"], shown["p50_s"], shown["fast"]), (0, None, None))

    def test_counters_that_were_reset(self) -> None:
        self.second(5)
        self.second(-5)
        self.assertEqual(len(self.history.samples), 1, "a second that says nothing is left out")
        self.assertEqual(self.second(2)["received"], 2)

    def test_ten_minutes_are_kept(self) -> None:
        for _ in range(SAMPLES_MAX + 5):
            self.second(1)
        self.assertEqual(len(self.history.samples), SAMPLES_MAX)
        self.history.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class WarningsTests(SynchronousTestCase):
    def test_the_last_ones(self) -> None:
        warnings, log = LastWarnings(), Logger()
        log.warn("before")
        warnings.start()
        self.addCleanup(warnings.stop)
        log.info("nothing")
        for number in range(LINES_MAX + 3):
            log.warn("number {number}", number=number)
        log.error("x" * 5000)
        lines = warnings.lines()
        self.assertEqual(len(lines), LINES_MAX)
        self.assertEqual((lines[0][1], len(lines[0][2])), ("error", 1000))
        self.assertEqual(lines[1][1:], ("warn", f"number {LINES_MAX + 2}"))


class NeighboursTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.neighbours = Neighbours(self.reactor, lambda: PLACES, lambda: "secret")
        self.neighbours.start()

    def answer(self, data: bytes, closes: bool = True) -> bytes:
        """To the last question, which is returned."""
        factory = self.reactor.tcpClients[-1][2]
        protocol = factory.buildProtocol(None)
        wire = StringTransport()
        protocol.makeConnection(wire)
        protocol.dataReceived(data)
        if closes:
            protocol.connectionLost(Failure(ConnectionDone()))
        return wire.value()

    def test_answers(self) -> None:
        members = [{"id": 0, "up": True}, {"id": 1, "up": False}, {"id": 2, "up": True}]
        good, other = (json.dumps({"id": number, "members": members}) for number in (1, 0))
        for data, sees in (
            (f"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{good}", {1: [0, 2]}),
            (f"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{other}", {}),
            (f"HTTP/1.1 401 Unauthorized\r\n\r\n{good}", {}),
            ("HTTP/1.1 200 OK\r\n\r\n{", {}),
            ('HTTP/1.1 200 OK\r\n\r\n{"members": [1]}', {}),
            ('HTTP/1.1 200 OK\r\n\r\n{"members": [{"id": 1e999, "up": true}]}', {}),
            ("HTTP/1.1 200 OK\r\n\r\n" + "[" * 90_000, {}),
            ("", {}),
            ("x" * 200_000, {}),
        ):
            asked = self.answer(data.encode(), closes=len(data) < 100_000)
            self.assertEqual(asked, b"GET /status HTTP/1.0\r\nAuthorization: Basic OnNlY3JldA==\r\n\r\n")
            if len(data) < 100_000:
                self.assertEqual(self.neighbours.sees, sees, data[:30])
            self.reactor.advance(max(ASK_S, PATIENCE_S) + 0.1)
        self.assertEqual({client[:2] for client in self.reactor.tcpClients}, {("127.0.0.1", 2)})

    def test_an_address_that_cannot_be_asked(self) -> None:
        """It is a member of which nothing is known; Twisted may raise anything."""
        for status in (
            "tcp:7201",
            "tcp:7201:interface=0.0.0.0",
            "ssl:7200:privateKey=x",
            "no:1",
            "tcp:::1:2",
        ):
            reactor = MemoryReactorClock()
            place = MemberPlace(1, "", status, False)
            neighbours = Neighbours(reactor, lambda place=place: [place], str)  # type: ignore[misc]
            neighbours.start()
            self.assertEqual(reactor.tcpClients, [], status)
            neighbours.stop()

    def test_one_question_at_a_time(self) -> None:
        self.reactor.advance(ASK_S)
        self.reactor.advance(ASK_S)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        self.reactor.advance(ASK_S)
        self.reactor.advance(ASK_S)
        self.assertEqual(len(self.reactor.tcpClients), 2)
        self.neighbours.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class LiveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.reactor = Clock(), MemoryReactorClock()
        self.history = History([Measured()], self.clock, self.clock.seconds)
        neighbours = Neighbours(self.reactor, lambda: PLACES, str)
        told: Deferred[dict[str, Any]] = succeed(STATUS)
        self.clients = Clients(told)
        self.present = Present(self.clients, self.history, LastWarnings(), neighbours, lambda: PLACES)
        self.present.start()
        self.addCleanup(self.present.stop)

    def ask(self, path: str, door: Door | None = None, *more: str) -> tuple[Any, StringTransport]:
        self.clients._status = succeed(dict(STATUS))
        site = status_site(self.clients, Clock(), door, bytes, self.present)
        channel, transport = site.buildProtocol(None), StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *more, "", ""]).encode())
        return channel, transport

    def events(self, transport: StringTransport) -> list[dict[str, Any]]:
        self.clients._status = succeed(dict(STATUS))
        lines = transport.value().split(b"\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]

    def second(self) -> None:
        self.clients._status = succeed(dict(STATUS))
        self.clock.advance(1)

    def test_events(self) -> None:
        self.second()
        self.second()
        channel, transport = self.ask("/live")
        [first] = self.events(transport)
        self.assertEqual((first["fields"], len(first["samples"])), (list(FIELDS), 1))
        members = [(each["number"], each["up"], each["sees"]) for each in first["now"]["members"]]
        self.assertEqual(members, [(0, True, [0]), (1, False, None), (2, False, None)])
        self.assertEqual((first["now"]["committed"], first["now"]["executed"]), (11, 9))
        self.second()
        self.assertEqual(len(self.events(transport)[-1]["samples"]), 1)
        transport.producer.pauseProducing()
        self.second()
        self.assertEqual(len(self.events(transport)), 2, "who is slow misses samples")
        transport.producer.resumeProducing()
        self.second()
        self.assertEqual(len(self.events(transport)), 3)
        self.assertEqual(len(self.reactor.tcpClients), 1, "others are asked while somebody looks")
        other, _ = self.ask("/live")
        asked: list[object] = []
        self.patch(self.present, "now", lambda: asked.append(None) or {})
        self.second()
        self.assertEqual(len(asked), 1, "one answer for all who look")
        other.connectionLost(Failure(ConnectionDone()))
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.history.on_sample, self.reactor.getDelayedCalls()), ({}, []))

    def test_others_get_a_connection(self) -> None:
        """Who looks leaves room for probes, and whoever takes nothing is in nobody's way."""
        self.second()
        looking = [self.ask("/live") for _ in range(WATCHERS_MAX)]
        self.assertIn(b" 503 ", self.ask("/live")[1].value())
        stalled = looking[0][1]
        stalled.producer.pauseProducing()
        for _ in range(MISSED_MAX):
            self.second()
        self.assertFalse(stalled.disconnected)
        self.second()
        self.assertEqual([transport.disconnected for _, transport in looking], [True] + [False] * 15)
        for channel, _ in looking:
            channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.present.watchers, self.history.on_sample), (0, {}))

    def test_files(self) -> None:
        for address, (_, kind) in FILES.items():
            more = ["Accept: text/html"] if not address else []
            _, transport = self.ask(f"/{address}", None, *more)
            head = transport.value().partition(b"\r\n\r\n")[0].decode()
            self.assertIn("200 OK", head)
            self.assertIn(f"Content-Type: {kind}", head)
            self.assertIn("default-src 'none'", head)
        _, transport = self.ask("/")
        self.assertIn(b"GET /status", transport.value(), "curl gets a list")

    def test_the_door(self) -> None:
        for path in ("/", "/live", "/page.js"):
            for door, code in ((Door("x"), b"401"), (Door(is_protected=True), b"403")):
                channel, transport = self.ask(path, door, "Accept: text/html")
                self.assertEqual(transport.value()[9:12], code, path)
                channel.connectionLost(Failure(ConnectionDone()))
