"""What a service manager is told, by real sockets."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.service.phase import Phase
from epaxos.service.service_manager import ServiceManager
from epaxos.service.supervised import BEAT_S, WORK_S, Supervised

READY, STOPPING = "READY=1", "STOPPING=1"
ALIVE, MORE_TIME = "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=60000000"


class ManagerCase(SynchronousTestCase):
    """A service manager of which only the socket is there."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name, "notify"))
        self.socket = self.listen(self.path)

    def listen(self, address: str) -> socket.socket:
        there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        there.bind(address)
        there.settimeout(5)
        self.addCleanup(there.close)
        return there

    def manager(self, address: str = "", watchdog_s: float = 0) -> ServiceManager:
        manager = ServiceManager(address or self.path, watchdog_s)
        self.addCleanup(manager.close)
        return manager

    def told(self) -> list[str]:
        """The lines that came since the last call."""
        lines = []
        self.socket.setblocking(False)
        while True:
            try:
                lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines


class ServiceManagerTests(ManagerCase):
    def test_which_one_it_is(self) -> None:
        for environment, watchdog_s in (
            ({}, 0),
            ({"WATCHDOG_USEC": "30000000"}, 30),
            ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
            ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0),
            ({"WATCHDOG_USEC": "soon"}, 0),
        ):
            manager = ServiceManager.of({"NOTIFY_SOCKET": self.path, **environment})
            assert manager is not None
            self.addCleanup(manager.close)
            self.assertEqual(manager.watchdog_s, watchdog_s)
        for nobody in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
            self.assertIsNone(ServiceManager.of(nobody))

    def test_both_kinds_of_addresses(self) -> None:
        name = f"epaxos-test-{os.getpid()}"
        abstract = self.listen(f"\0{name}")
        for address, there in ((self.path, self.socket), (f"@{name}", abstract)):
            self.manager(address).tell({"STATUS": "two\nlines", "READY": 1})
            self.assertEqual(there.recv(100), b"STATUS=two lines\nREADY=1")

    def test_a_manager_that_takes_nothing_for_a_while(self) -> None:
        """Nothing waits for it, and it is told later what it did not take."""
        manager = self.manager()
        while manager.tell_now({"WATCHDOG": 1}):
            pass
        manager.tell({"READY": 1, "STATUS": "early"})
        self.assertEqual(set(self.told()), {ALIVE})
        manager.tell({"STATUS": "late"})
        self.assertEqual(self.told(), [READY, "STATUS=late"])
        manager.tell({})
        self.assertEqual(self.told(), [])

    def test_a_manager_that_is_gone(self) -> None:
        lines: list[str] = []
        observer: Callable[..., None] = lambda event: lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for address in (f"{self.path}-not", "/" + 200 * "x", "/"):
            manager = self.manager(address)
            lines.clear()
            for _ in range(2):
                manager.tell({"READY": 1})
            (line,) = lines
            self.assertIn("cannot be told anything", line)


class SupervisedTests(ManagerCase):
    def supervised(self, watchdog_s: float = 0, worked_s: Callable[[], float] = time.monotonic) -> Supervised:
        self.clock = Clock()
        supervised = Supervised(self.manager("", watchdog_s), self.clock, worked_s)
        self.addCleanup(supervised.on_phase, Phase.STOPPING)  # which ends its thread
        return supervised

    def test_from_the_start_to_the_end(self) -> None:
        supervised = self.supervised()
        supervised.describe_by(lambda: "serves")
        supervised.on_phase(Phase.RESTORING)
        self.assertEqual(self.told(), [MORE_TIME, f"STATUS={Phase.RESTORING.value}"])
        supervised.on_phase(Phase.WAITING)
        self.assertEqual(self.told(), [f"STATUS={Phase.WAITING.value}"])
        self.clock.advance(BEAT_S)
        self.assertEqual(self.told(), [MORE_TIME])
        supervised.on_phase(Phase.SERVING)
        self.assertEqual(self.told(), [READY, "STATUS=serves"])
        self.clock.advance(BEAT_S)
        self.assertEqual(self.told(), [])
        supervised.on_phase(Phase.STOPPING)
        self.assertEqual(self.told(), [STOPPING, f"STATUS={Phase.STOPPING.value}"])

    def test_the_status_follows(self) -> None:
        status = ["of 3"]
        supervised = self.supervised()
        supervised.describe_by(lambda: status[0])
        supervised.on_phase(Phase.SERVING)
        status[0] = "of 5"
        self.told()
        self.clock.advance(BEAT_S)
        self.assertEqual(self.told(), ["STATUS=of 5"])

    def test_the_loop_feeds_the_watchdog(self) -> None:
        """Three times as often as it must, and nobody else does."""
        supervised = self.supervised(watchdog_s=0.3)
        supervised.on_phase(Phase.SERVING)
        self.told()
        time.sleep(0.3)
        self.assertEqual(self.told(), [])
        self.clock.pump([0.1] * 5)
        self.assertEqual(self.told(), [ALIVE] * 5)

    def test_while_it_restores(self) -> None:
        """The loop stands still.  A thread says that the process lives, as long as it works."""
        begun = Event()
        works = [True]
        worked_s = [0.0]

        def work() -> float:
            begun.set()
            worked_s[0] += works[0] * WORK_S * 2
            return worked_s[0]

        supervised = self.supervised(0.3, work)
        supervised.on_phase(Phase.RESTORING)
        self.assertTrue(begun.wait(5))
        time.sleep(0.5)
        self.assertGreaterEqual(self.told().count(ALIVE), 2)
        works[0] = False
        time.sleep(0.25)
        self.told()
        time.sleep(0.5)
        self.assertEqual(self.told(), [], "it hangs")
        works[0] = True
        time.sleep(0.5)
        self.assertIn(MORE_TIME, self.told())
        supervised.on_phase(Phase.SERVING)
        time.sleep(0.15)
        self.told()
        time.sleep(0.5)
        self.assertEqual(self.told(), [], "the loop alone counts")

    def test_a_reload(self) -> None:
        supervised = self.supervised()
        with supervised.reloading():
            """It does not serve yet, and must not say so afterwards."""
        self.assertEqual(self.told(), [])
        supervised.on_phase(Phase.SERVING)
        self.told()
        before = time.monotonic_ns() // 1000
        with supervised.reloading():
            begins, at = self.told()
        self.assertEqual(begins, "RELOADING=1")
        self.assertTrue(before <= int(at.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000)
        self.assertEqual(self.told(), [READY])
