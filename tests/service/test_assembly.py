"""Whole replicas inside the test's own process: put together, started, asked, stopped."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from twisted.application.service import IService
from twisted.internet.defer import Deferred, fail, gatherResults, inlineCallbacks, succeed
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from epaxos.client.connection import connect
from epaxos.config.addresses import client_for
from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError
from epaxos.interfaces import StoreError, WrongDataError
from epaxos.service.assembly import build
from epaxos.service.exit_status import FAILED, WRONG_DATA
from epaxos.service.life import Parts, Port
from epaxos.service.service import ReplicaService
from epaxos.tools.demo import free_base_port


class Refused(Exception):
    """What `startService` is to raise."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class ClusterTests(TestCase):
    """Three replicas on the test's reactor, over real sockets and real disks."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = reactor
        self.failures: list[str] = []
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)

    def configure(self, n: int = 3, settings: str = "", transport: str = "tcp") -> Config:
        path = self.folder / "cluster.ini"
        path.write_text(example(n, free_base_port(n), data="data", transport=transport) + settings)
        return load(path)

    def build(self, config: Config, id: int) -> ReplicaService:
        service = build(config, id, self.reactor, refuse=Refused, fail=self.failed)
        self.addCleanup(service.stopService)
        return service

    def failed(self, text: str, status: int) -> None:
        self.failures.append(text)

    @inlineCallbacks
    def start(self, config: Config) -> Any:
        """All replicas, once they listen for clients."""
        services = [self.build(config, id) for id in range(config.n)]
        for service in services:
            service.startService()
        while not all(service.is_ready for service in services):
            yield deferLater(self.reactor, 0.01)
        return services

    @inlineCallbacks
    def ask(self, config: Config, id: int, *command: str) -> Any:
        connection = yield connect(clientFromString(self.reactor, client_for(config.replica(id).client)))
        reply = yield connection.ask(*command)
        connection.close()
        yield connection.closed
        return reply

    @inlineCallbacks
    def test_three_replicas(self) -> Any:
        config = self.configure()
        services = yield self.start(config)
        reply = yield self.ask(config, 0, "SET", "a", "b")
        self.assertEqual(reply, b"OK")
        for id in range(3):
            reply = yield self.ask(config, id, "GET", "a")
            self.assertEqual(reply, b"b")
        replies = yield gatherResults([self.ask(config, id, "INCR", "n") for id in range(3)])
        self.assertEqual(sorted(replies), [1, 2, 3])
        url = f"http://127.0.0.1:{config.replica(1).status.split(':')[1]}/status"
        with (yield deferToThread(urlopen, url, timeout=10)) as answer:
            status = json.load(answer)
        self.assertEqual((status["id"], status["cluster"]), (1, "example"))
        info = yield self.ask(config, 2, "INFO", "server")
        self.assertIn(b"replica:2", info)
        yield gatherResults([service.stopService() for service in services])
        self.assertEqual(self.failures, [])

    @inlineCallbacks
    def test_the_log_names_its_ports(self) -> Any:
        """Also in the lines that Twisted writes when a port begins to listen."""
        config = self.configure(1)
        lines: list[str] = []
        observer = lambda event: lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        (service,) = yield self.start(config)
        yield service.stopService()
        for name in ("peer", "client", "status"):
            port = getattr(config.replica(0), name).split(":")[1]
            self.assertIn(f"{name} port starting on {port}", lines)

    @inlineCallbacks
    def test_three_replicas_over_udp(self) -> Any:
        config = self.configure(transport="udp", settings="[limits]\ndatagram_bytes_max = 1400\n")
        yield self.start(config)
        reply = yield self.ask(config, 0, "SET", "a", "b")
        self.assertEqual(reply, b"OK")
        for id in range(3):
            reply = yield self.ask(config, id, "GET", "a")
            self.assertEqual(reply, b"b")
        error = yield self.assertFailure(self.ask(config, 1, "SET", "a", "x" * 2000), Exception)
        self.assertIn("ERR the command is too large", str(error))

    @inlineCallbacks
    def test_who_was_answered_is_seen_by_all_who_read(self) -> Any:
        """Whatever replica is asked, and however soon; and reading makes no instance and writes nothing."""
        for settings in ("", "[storage]\nengine = memory\n"):
            config = self.configure(settings=settings)
            services = yield self.start(config)
            connections = yield gatherResults(
                [
                    connect(clientFromString(self.reactor, client_for(config.replica(id).client)))
                    for id in range(3)
                ]
            )
            for number in range(300):
                key, writer = f"key {number % 7}", number % 3
                yield connections[writer].ask("SET", key, str(number))
                replies = yield gatherResults([connection.ask("GET", key) for connection in connections])
                self.assertEqual(replies, [b"%d" % number] * 3, f"written by {writer}, {settings}")
            yield self.check_quiet_reads(services, connections)
            for connection in connections:
                connection.close()
            yield gatherResults([connection.closed for connection in connections])
            yield gatherResults([service.stopService() for service in services])
        self.assertEqual(self.failures, [])

    @inlineCallbacks
    def numbers(self, services: list[ReplicaService]) -> Any:
        """What reading must leave alone, and the commands that were read, of each."""
        numbers = []
        for service in services:
            status = yield service.node.status()
            counters = status["counters"]
            same = [counters[name] for name in ("store_writes", "store_syncs", "store_bytes", "fast_path")]
            numbers.append(([status["next_slot"], status["executed"], *same], counters["commands_read"]))
        return numbers

    @inlineCallbacks
    def check_quiet_reads(self, services: list[ReplicaService], connections: list[Any]) -> Any:
        """When what was written before has been cleared away."""
        before: Any = None
        while (now := (yield self.numbers(services))) != before:
            before = now
            yield deferLater(self.reactor, 1.3)  # longer than from one checkpoint to the next
        for _ in range(50):
            yield gatherResults([connection.ask("GET", "key 1") for connection in connections])
        after = yield self.numbers(services)
        self.assertEqual([same for same, _ in after], [same for same, _ in before])
        self.assertEqual([read for _, read in after], [read + 50 for _, read in before])

    @inlineCallbacks
    def test_a_single_replica_remembers(self) -> Any:
        config = self.configure(1)
        for expected in (1, 2):
            (service,) = yield self.start(config)
            reply = yield self.ask(config, 0, "INCR", "n")
            self.assertEqual(reply, expected)
            yield service.stopService()

    @inlineCallbacks
    def test_a_replica_in_memory_forgets_and_warned_of_it(self) -> Any:
        config = self.configure(1, "[storage]\nengine = memory\n")
        for _ in range(2):
            (service,) = yield self.start(config)
            reply = yield self.ask(config, 0, "INCR", "n")
            self.assertEqual(reply, 1)
            yield service.stopService()
        self.assertFalse((self.folder / "data").exists())

    @inlineCallbacks
    def test_stopping_answers_who_waits(self) -> Any:
        config = self.configure()
        services = yield self.start(config)
        service, *others = services
        yield gatherResults([other.stopService() for other in others])  # alone: no quorum
        connection = yield connect(clientFromString(self.reactor, client_for(config.replica(0).client)))
        reply = connection.ask("SET", "a", "b")
        while not (yield service.node.status())["counters"]["instances_in_flight"]:
            yield deferLater(self.reactor, 0.01)
        yield service.stopService()
        error = yield self.assertFailure(reply, Exception)
        self.assertIn("CLUSTERDOWN", str(error))
        yield connection.closed

    @inlineCallbacks
    def test_a_port_that_is_taken(self) -> Any:
        """Nothing stays open of what had been opened before."""
        config = self.configure(1)
        for key in ("peer", "client", "status"):
            port = int(getattr(config.replica(0), key).split(":")[1])
            with socket.create_server(("127.0.0.1", port)):
                service = self.build(config, 0)
                with self.assertRaises(Refused) as refusal:
                    service.startService()
                self.assertEqual(
                    str(refusal.exception), f"cannot listen on 127.0.0.1:{port}: Address already in use"
                )
                yield service.stopService()
        (service,) = yield self.start(config)
        reply = yield self.ask(config, 0, "PING")
        self.assertEqual(reply, b"PONG")

    @inlineCallbacks
    def test_the_data_of_another(self) -> Any:
        config = self.configure(1)
        (service,) = yield self.start(config)
        yield service.stopService()
        text = config.path.read_text()
        config.path.write_text(text.replace("name = example", "name = other"))
        service = self.build(load(config.path), 0)
        with self.assertRaises(Refused) as refusal:
            service.startService()
        self.assertIn("example", str(refusal.exception))
        self.assertEqual(refusal.exception.status, WRONG_DATA)

    def test_parts_that_the_configuration_asks_for_in_vain(self) -> None:
        for settings, said in (
            ("[state_machine]\ncolour = red\n", "colour"),
            (
                "[replica 1]\npeer = tcp:1:interface=127.0.0.2\nclient = systemd:domain=INET:index=0\n"
                "status = tcp:3:interface=127.0.0.2\ndata = elsewhere\n",
                "client",
            ),
        ):
            config = self.configure(1, settings)
            with self.assertRaises(ConfigError) as refusal:
                build(config, config.n - 1, self.reactor, refuse=Refused, fail=self.failures.append)
            self.assertIn(said, str(refusal.exception))


class Node:
    """A node that starts as the test says."""

    id = 0
    n = 1

    def __init__(self, started: Any) -> None:
        self.started = 0
        self.stopped = 0
        self._started = started

    def start(self) -> Deferred[None]:
        self.started += 1
        if isinstance(self._started, Exception):
            raise self._started
        return self._started

    def stop(self) -> Deferred[None]:
        self.stopped += 1
        return succeed(None)


class Listening:
    """A port that listens."""

    def __init__(self) -> None:
        self.open = True

    def stopListening(self) -> None:
        self.open = False


class Endpoint:
    """An endpoint that listens when the test says so."""

    def __init__(self, listening: Deferred[Any]) -> None:
        self.listening = listening

    def listen(self, factory: Any) -> Deferred[Any]:
        return self.listening


class First:
    """A first start that has nothing to do."""

    def run(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> None:
        pass


class Waits(First):
    """A first start that waits for others."""

    def __init__(self) -> None:
        self.may_start: Deferred[None] = Deferred()

    def run(self) -> Deferred[None]:
        return self.may_start


class Upkeep:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


class StartTests(SynchronousTestCase):
    """What goes wrong at once is raised; what goes wrong later is told."""

    def failed(self, text: str, status: int) -> None:
        self.failures.append(text)

    def service(self, started: Any, *listening: Deferred[Any], first: First | None = None) -> ReplicaService:
        self.failures: list[str] = []
        ports = [Port("client", "tcp:1", Endpoint(port), Factory()) for port in listening]
        node: Any = Node(started)
        self.hung_up: list[None] = []
        hang_up = lambda: self.hung_up.append(None)  # noqa: E731
        self.upkeep = Upkeep()
        parts = Parts(node, first or First(), ports, hang_up, self.upkeep, lambda: True, lambda: 3)
        return ReplicaService(lambda begin_again: parts, Refused, self.failed, Clock())

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(IService, self.service(succeed(None))))

    def test_what_fails_at_once_is_raised(self) -> None:
        taken = CannotListenError("127.0.0.1", 7000, OSError(98, "Address already in use"))
        unix = CannotListenError("/run/x", None, OSError(13, "Permission denied"))
        everywhere = CannotListenError("", 7000, OSError(98, "Address already in use"))
        for started, listening, text, status in (
            (fail(WrongDataError("it is another's")), [], "it is another's", WRONG_DATA),
            (StoreError("the disk is gone"), [], "the disk is gone", FAILED),
            (fail(StoreError("the disk is gone")), [], "the disk is gone", FAILED),
            (fail(taken), [], "cannot listen on 127.0.0.1:7000: Address already in use", FAILED),
            (succeed(None), [fail(taken)], "cannot listen on 127.0.0.1:7000: Address already in use", FAILED),
            (succeed(None), [fail(everywhere)], "cannot listen on *:7000: Address already in use", FAILED),
            (succeed(None), [fail(unix)], "cannot listen on /run/x: Permission denied", FAILED),
        ):
            service = self.service(started, *listening)
            with self.assertRaises(Refused) as refusal:
                service.startService()
            self.assertEqual((str(refusal.exception), refusal.exception.status), (text, status))
            self.assertEqual((service.node.stopped, len(self.hung_up)), (1, 1))
            self.assertEqual(self.failures, [])

    def test_a_first_start_that_waits(self) -> None:
        """The ports are open meanwhile, and the node starts behind it."""
        port, first = Listening(), Waits()
        service = self.service(succeed(None), succeed(port), first=first)
        service.startService()
        self.assertTrue(port.open)
        self.assertEqual((service.node.started, service.is_ready, self.upkeep.calls), (0, False, []))
        first.may_start.callback(None)
        self.assertEqual((service.node.started, service.is_ready, self.upkeep.calls), (1, True, ["start"]))
        self.successResultOf(service.stopService())
        self.assertEqual(self.upkeep.calls, ["start", "stop"])
        self.assertFalse(port.open)

    def test_a_port_that_is_taken_while_the_first_start_waits(self) -> None:
        taken = CannotListenError("127.0.0.1", 7100, OSError(98, "Address already in use"))
        with self.assertRaises(Refused):
            self.service(succeed(None), fail(taken), first=Waits()).startService()

    def test_stopped_while_the_first_start_waits(self) -> None:
        first = Waits()
        service = self.service(succeed(None), first=first)
        service.startService()
        service.stopService()
        first.may_start.callback(None)
        self.assertEqual((service.node.started, service.is_ready), (0, False))

    def test_a_bug_is_logged_with_all_that_is_known_of_it(self) -> None:
        with self.assertRaises(Refused) as refusal:
            self.service(fail(ZeroDivisionError())).startService()
        self.assertIn("internal error", str(refusal.exception))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_ctrl_c_while_the_store_is_opened_is_no_bug(self) -> None:
        """Before the reactor runs, Python raises KeyboardInterrupt wherever it is."""
        with self.assertRaises(Refused) as refusal:
            self.service(fail(KeyboardInterrupt())).startService()
        self.assertEqual(str(refusal.exception), "interrupted while it started")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_second_port_that_fails_closes_the_first(self) -> None:
        first = Listening()
        taken = CannotListenError("", 1, OSError(98, "in use"))
        with self.assertRaises(Refused):
            self.service(succeed(None), succeed(first), fail(taken)).startService()
        self.assertFalse(first.open)

    def test_what_fails_later_is_told(self) -> None:
        started: Deferred[None] = Deferred()
        service = self.service(started)
        service.startService()
        self.assertEqual(self.failures, [])
        started.errback(StoreError("the disk is gone"))
        self.assertEqual(self.failures, ["the disk is gone"])

    def test_stopped_while_it_starts(self) -> None:
        """A port that comes too late is closed again."""
        late: Deferred[Any] = Deferred()
        service = self.service(succeed(None), late)
        service.startService()
        self.assertNoResult(late)
        self.successResultOf(service.stopService())
        listening = Listening()
        late.callback(listening)
        self.assertFalse(listening.open)
        self.assertEqual(self.failures, [])
