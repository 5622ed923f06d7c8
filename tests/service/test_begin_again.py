"""A replica that begins again within its process: the order, what may fail, and that nothing stays."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock, deferLater
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from epaxos.client.connection import connect
from epaxos.config.addresses import client_for
from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError
from epaxos.interfaces import StoreError, WrongDataError
from epaxos.node.node import Node
from epaxos.service.assembly import build
from epaxos.service.exit_status import FAILED, WRONG_DATA
from epaxos.service.life import Parts, Port
from epaxos.service.service import ReplicaService
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.tools.demo import free_base_port


class Refused(Exception):
    """What `startService` is to raise."""


class Recorder:
    """The parts of each life, which write down what is asked of them.

    `started`, `stopped` are what the next node's `start` and `stop` return, `raised` what the next making
    raises.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.begin_again: list[Callable[[], None]] = []
        self.started: Deferred[None] = succeed(None)
        self.stopped: Deferred[None] = succeed(None)
        self.raised: Exception | None = None

    def make(self, begin_again: Callable[[], None]) -> Parts:
        if self.raised is not None:
            raise self.raised
        self.begin_again.append(begin_again)
        number = len(self.begin_again)
        self.events.append(f"make {number}")
        port: Any = FakePort(self, number)
        return Parts(
            FakeNode(self, number),
            First(),
            [Port("client", "tcp:1", port, Factory())],
            lambda: self.events.append(f"hang up {number}"),
            FakeUpkeep(),
            lambda: True,
            lambda: 3,
        )

    def take(self) -> list[str]:
        events, self.events = self.events, []
        return events


class FakeUpkeep:
    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


class FakeNode:
    id = 0
    n = 3

    def __init__(self, recorder: Recorder, number: int) -> None:
        self.recorder = recorder
        self.number = number

    def start(self) -> Deferred[None]:
        self.recorder.events.append(f"start {self.number}")
        return self.recorder.started

    def stop(self) -> Deferred[None]:
        self.recorder.events.append(f"stop {self.number}")
        return self.recorder.stopped


class FakePort:
    """An endpoint, and the port that it makes."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self.recorder = recorder
        self.number = number

    def listen(self, factory: Factory) -> Deferred[FakePort]:
        self.recorder.events.append(f"listen {self.number}")
        return succeed(self)

    def stopListening(self) -> None:
        self.recorder.events.append(f"close {self.number}")


class First:
    def run(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> None:
        pass


def be_silent(case: SynchronousTestCase) -> None:
    """Log nothing until the end of the test: tests keep what is logged, and it keeps who has logged it."""
    for observer in list(globalLogPublisher._observers):
        globalLogPublisher.removeObserver(observer)
        case.addCleanup(globalLogPublisher.addObserver, observer)


def _is_open(descriptor: str) -> bool:
    """Whether it is still there, as that of a listing of all is not."""
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


FIRST = ["make 1", "start 1", "listen 1"]
END = ["close 1", "stop 1", "hang up 1"]
SECOND = ["make 2", "start 2", "listen 2"]
THEN = ["close 2", "stop 2", "hang up 2"]


class OrderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.parts = Recorder()
        self.failures: list[tuple[str, int]] = []
        failed = lambda text, status: self.failures.append((text, status))  # noqa: E731
        refuse = lambda text, status: Refused(text)  # noqa: E731
        self.service = ReplicaService(self.parts.make, refuse, failed, self.clock)

    def start(self) -> None:
        self.service.startService()
        self.assertEqual(self.parts.take(), FIRST)

    def turns(self) -> None:
        for _ in range(4):
            self.clock.advance(0)

    def test_everything_is_closed_before_anything_is_made(self) -> None:
        self.start()
        node = self.service.node
        self.parts.stopped = Deferred()
        self.service.begin_again()
        self.assertEqual(self.parts.take(), [], "whoever has asked for it is in the midst of something")
        self.turns()
        self.assertEqual(self.parts.take(), END[:2])
        self.assertFalse(self.service.is_ready)
        self.parts.stopped.callback(None)
        self.assertEqual(self.parts.take(), END[2:])
        self.turns()
        self.assertEqual(self.parts.take(), SECOND)
        self.assertTrue(self.service.is_ready)
        self.assertIsNot(self.service.node, node)
        self.assertEqual(self.failures, [])

    def test_a_second_call_does_nothing(self) -> None:
        self.start()
        self.service.begin_again()
        self.service.begin_again()
        self.parts.stopped = Deferred()
        self.turns()
        self.parts.begin_again[0]()
        self.parts.stopped.callback(None)
        self.turns()
        self.assertEqual(self.parts.take(), END + SECOND)

    def test_who_belongs_to_an_earlier_life_has_no_say(self) -> None:
        self.start()
        self.parts.begin_again[0]()
        self.turns()
        self.assertEqual(self.parts.take(), END + SECOND)
        self.parts.begin_again[0]()
        self.turns()
        self.assertEqual(self.parts.take(), [])
        self.parts.begin_again[1]()
        self.turns()
        self.assertEqual(
            self.parts.take(), ["close 2", "stop 2", "hang up 2", "make 3", "start 3", "listen 3"]
        )

    def test_not_while_it_does_not_run(self) -> None:
        self.service.begin_again()
        self.turns()
        self.start()
        self.successResultOf(self.service.stopService())
        self.service.begin_again()
        self.turns()
        self.assertEqual(self.parts.take(), END)

    def test_while_it_starts(self) -> None:
        """The start that is under way ends without a port."""
        started = self.parts.started = Deferred()
        self.service.startService()
        self.parts.started = succeed(None)
        self.service.begin_again()
        self.turns()
        self.assertEqual(self.parts.take(), ["make 1", "start 1", "stop 1", "hang up 1", *SECOND])
        started.callback(None)
        self.turns()
        self.assertEqual(self.parts.take(), [])
        self.assertEqual(self.failures, [])

    # -- stopped in the midst of it

    def test_stopped_before_it_has_begun(self) -> None:
        self.start()
        self.service.begin_again()
        self.successResultOf(self.service.stopService())
        self.turns()
        self.assertEqual(self.parts.take(), END)

    def test_stopped_while_it_stops(self) -> None:
        """The end waits for the stop that is under way, and nothing is made."""
        self.start()
        self.parts.stopped = Deferred()
        self.service.begin_again()
        self.turns()
        ends = [self.service.stopService(), self.service.stopService()]
        for end in ends:
            self.assertNoResult(end)
        self.parts.stopped.callback(None)
        for end in ends:
            self.successResultOf(end)
        self.turns()
        self.assertEqual(self.parts.take(), END)

    def test_stopped_between_the_two(self) -> None:
        self.start()
        self.parts.stopped = Deferred()
        self.service.begin_again()
        self.turns()
        self.parts.stopped.callback(None)
        self.assertEqual(self.parts.take(), END)
        self.successResultOf(self.service.stopService())
        self.turns()
        self.assertEqual(self.parts.take(), [])

    def test_stopped_while_it_starts_again(self) -> None:
        self.start()
        started = self.parts.started = Deferred()
        self.service.begin_again()
        self.turns()
        self.assertEqual(self.parts.take(), [*END, "make 2", "start 2"])
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.parts.take(), ["stop 2", "hang up 2"])
        started.callback(None)
        self.turns()
        self.assertEqual((self.parts.take(), self.service.is_ready), ([], False))

    # -- failures

    def test_a_failure_ends_the_process(self) -> None:
        taken = CannotListenError("127.0.0.1", 7000, OSError(98, "Address already in use"))
        for error, text, status in (
            (WrongDataError("it is another's"), "it is another's", WRONG_DATA),
            (StoreError("the disk is gone"), "the disk is gone", FAILED),
            (taken, "cannot listen on 127.0.0.1:7000: Address already in use", FAILED),
        ):
            self.setUp()
            self.start()
            self.parts.started = fail(error)
            self.service.begin_again()
            self.turns()
            self.assertEqual(self.failures, [(text, status)])
            self.assertFalse(self.service.is_ready)

    def test_a_configuration_that_is_wrong_by_now(self) -> None:
        """As when a certificate cannot be read any more."""
        self.start()
        self.parts.raised = ConfigError("the certificate is gone")
        self.service.begin_again()
        self.turns()
        self.assertEqual(self.failures, [("the certificate is gone", FAILED)])

    def test_a_stop_that_fails(self) -> None:
        self.start()
        self.parts.stopped = fail(ZeroDivisionError())
        self.service.begin_again()
        self.turns()
        self.assertEqual(self.failures, [("the replica cannot start: internal error, see the log", FAILED)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.parts.begin_again), 1)

    def test_what_was_frozen_is_let_go(self) -> None:
        """A running replica has frozen all that its start has made."""
        be_silent(self)
        self.start()
        gc.freeze()
        try:
            self.service.begin_again()
            self.turns()
            self.assertGreater(gc.get_freeze_count(), 0)
            gc.unfreeze()
            gc.collect()
            nodes = [each for each in gc.get_objects() if isinstance(each, FakeNode)]
            self.assertEqual([node.number for node in nodes if node.recorder is self.parts], [2])
        finally:
            gc.unfreeze()


class ReplicaTests(TestCase):
    """Real ports and real disks, on the test's reactor."""

    timeout = 120

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = reactor
        self.failures: list[tuple[str, int]] = []
        self.name = f"again-{id(self)}"  # earlier tests may have left nodes in the log
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    @inlineCallbacks
    def start(self, n: int, transport: str = "tcp") -> Any:
        path = self.folder / "cluster.ini"
        timing = "[timing]\nheartbeat_s = 0.05\nsuspect_after_s = 0.3\n"
        text = example(n, free_base_port(n), data="data", transport=transport) + timing
        path.write_text(text.replace("name = example", f"name = {self.name}"))
        self.config = load(path)
        services = []
        for id in range(n):
            failed = lambda text, status: self.failures.append((text, status))  # noqa: E731
            refuse = lambda text, status: Refused(text)  # noqa: E731
            service = build(self.config, id, self.reactor, refuse=refuse, fail=failed)
            self.addCleanup(service.stopService)
            service.startService()
            services.append(service)
        yield self.until(lambda: all(service.is_ready for service in services))
        return services

    @inlineCallbacks
    def until(self, is_so: Callable[[], bool]) -> Any:
        while not is_so():
            self.assertEqual(self.failures, [])
            yield deferLater(self.reactor, 0.01)

    def connect(self, config: Config, id: int) -> Any:
        return connect(clientFromString(self.reactor, client_for(config.replica(id).client)))

    @inlineCallbacks
    def ask(self, id: int, *command: str) -> Any:
        """Ask until the replica answers, because it may not see the others yet."""
        connection = yield self.connect(self.config, id)
        reply = yield connection.ask(*command)
        connection.close()
        yield connection.closed
        return reply

    @inlineCallbacks
    def again(self, service: ReplicaService) -> Any:
        node = service.node
        service.begin_again()
        yield self.until(lambda: service.node is not node and service.is_ready)

    @inlineCallbacks
    def held(self) -> Any:
        """What a life that has ended might have left, once the present one has all its connections."""
        yield deferLater(self.reactor, 1)
        gc.collect()
        objects = gc.get_objects()
        folder = str(self.folder)
        stores = [each for each in objects if isinstance(each, LevelDBStore)]
        nodes = [each for each in objects if isinstance(each, Node)]
        files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)]
        return {
            "descriptors": sum(not file.endswith(".ldb") for file in files),  # each start writes a table
            "calls": len(self.reactor.getDelayedCalls()),
            "threads": sum(thread.name == "epaxos store" for thread in threading.enumerate()),
            "nodes": sum(node._identity.cluster == self.name for node in nodes),
            "stores": sum(str(store._folder.path).startswith(folder) for store in stores),
        }

    @inlineCallbacks
    def test_ten_times(self) -> Any:
        """Nothing of what was is left, and the others take it for what it is."""
        be_silent(self)
        services = yield self.start(3)
        yield self.ask(0, "SET", "n", "0")
        yield self.again(services[0])
        before = yield self.held()
        for number in range(1, 11):
            yield self.again(services[0])
            reply = yield self.ask(0, "INCR", "n")
            self.assertEqual(reply, number)
            reply = yield self.ask(1, "GET", "n")
            self.assertEqual(reply, b"%d" % number)
        after = yield self.held()
        self.assertEqual([after[what] for what in ("threads", "nodes", "stores")], [3, 3, 3])
        self.assertLess(after["descriptors"], before["descriptors"] + 5)
        self.assertLess(after["calls"], before["calls"] + 8)
        self.assertEqual(self.failures, [])

    @inlineCallbacks
    def test_over_udp(self) -> Any:
        services = yield self.start(3, transport="udp")
        yield self.ask(0, "SET", "n", "0")
        for number in range(1, 6):
            yield self.again(services[number % 3])
            reply = yield self.ask(number % 3, "INCR", "n")
            self.assertEqual(reply, number)
        self.assertEqual(self.failures, [])

    @inlineCallbacks
    def test_its_clients(self) -> Any:
        """Who is connected is hung up on, and told first what became of its command."""
        services = yield self.start(3)
        yield self.ask(0, "SET", "n", "0")
        yield services[1].stopService()
        yield services[2].stopService()  # alone: nothing is decided
        connection = yield self.connect(self.config, 0)
        idle = yield self.connect(self.config, 0)
        yield idle.ask("PING")
        reply = connection.ask("INCR", "n")
        while not (yield services[0].node.status())["counters"]["instances_in_flight"]:
            yield deferLater(self.reactor, 0.01)
        yield self.again(services[0])
        error = yield self.assertFailure(reply, Exception)
        self.assertIn("CLUSTERDOWN", str(error))
        self.assertIn("the command may still run", str(error))
        yield connection.closed
        yield idle.closed

    @inlineCallbacks
    def test_asked_for_by_a_client_in_the_midst_of_a_turn(self) -> Any:
        """As the node asks for it, from a callback of its own."""
        (service,) = yield self.start(1)
        connection = yield self.connect(self.config, 0)
        replies = [connection.ask("INCR", "n") for _ in range(100)]
        replies[0].addCallback(lambda _: service.begin_again())
        node = service.node
        for reply in replies:
            reply.addErrback(lambda failure: self.assertIn("CLUSTERDOWN", failure.getErrorMessage()))
            yield reply
        yield self.until(lambda: service.node is not node and service.is_ready)
        value = yield self.ask(0, "GET", "n")
        self.assertEqual(value, b"100")

    @inlineCallbacks
    def test_stopped_in_the_midst(self) -> Any:
        """Whenever that is: the folder and the ports are free afterwards."""
        for delay_s in (0, 0, 0.001, 0.003, 0.01):
            (service,) = yield self.start(1)
            service.begin_again()
            if delay_s:
                yield deferLater(self.reactor, delay_s)
            yield service.stopService()
            (service,) = yield self.start(1)
            yield self.ask(0, "PING")
            yield service.stopService()
        self.assertEqual(self.failures, [])
