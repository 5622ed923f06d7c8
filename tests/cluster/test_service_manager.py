"""Real replicas under a service manager: what it is told, and the sockets that it passes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until

WATCHDOG_S = 0.6
EXEC = """
import os, sys
count = int(sys.argv[1])
for place, number in enumerate(sys.argv[2 : 2 + count]):
    os.dup2(int(number), 100 + place)
for place in range(count):
    os.dup2(100 + place, 3 + place)
os.closerange(3 + count, 200)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2 + count], sys.argv[2 + count :])
"""
"""Becomes the program behind the descriptors, which begin with 3 then, as those that systemd passes."""


SLOW = """
import time
from epaxos.service.opened_store import OpenedStore
open_early = OpenedStore.open_early
def slow(self, identity):
    end = time.monotonic() + {seconds}
    while time.monotonic() < end:
        {how}
    return open_early(self, identity)
OpenedStore.open_early = slow
"""
"""What a process does first whose start stops the event loop for some seconds."""


HANGS = """
import signal, time
def hang(*_):
    time.sleep(60)
signal.signal(signal.SIGRTMIN, hang)
"""
"""What a process does first whose event loop is to hang at a signal."""


class Manager:
    """Starts replicas of a cluster as systemd does, and is told about them.  A context manager."""

    def __init__(self, cluster: Cluster, passed: Mapping[str, socket.socket] = {}) -> None:
        self.cluster = cluster
        self.passed = passed
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._name = f"epaxos-test-{os.getpid()}-{time.monotonic_ns()}"
        self._socket.bind(f"\0{self._name}")
        self._socket.setblocking(False)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self._socket.close()

    def start(self, id: int = 0, first: str = "") -> None:
        """Start this replica, in a process that does this `first`."""
        python, option, program, *arguments = self.cluster.command(id)
        command = [python, option, first + program, *arguments]
        numbers = [there.fileno() for there in self.passed.values()]
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": f"@{self._name}",
            "WATCHDOG_USEC": str(round(WATCHDOG_S * 1_000_000)),
        }
        if numbers:
            environment.update(LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES=":".join(self.passed))
        with self.cluster.log_file(id).open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    EXEC,
                    str(len(numbers)),
                    *map(str, numbers),
                    *command,
                ],
                pass_fds=numbers,
                cwd=self.cluster.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def told(self) -> list[str]:
        """All that was told so far."""
        while True:
            try:
                self.lines += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.lines

    def wait(self, line: str, timeout_s: float = 30) -> None:
        """Wait until this is told, and forget what came before."""

        def has_come() -> bool:
            assert self.process is not None
            is_told = line in self.told()
            assert is_told or self.process.poll() is None, f"it ended; told: {self.lines}"
            return is_told

        wait_until(f"told: {line}", has_come, timeout_s)
        del self.lines[: self.lines.index(line) + 1]

    def ended(self, timeout_s: float = 30) -> int:
        assert self.process is not None
        return self.process.wait(timeout_s)


class ServiceManagerTests(SynchronousTestCase):
    def test_from_the_start_to_the_end(self) -> None:
        with Cluster(1) as cluster, Manager(cluster) as manager:
            manager.start()
            manager.wait("READY=1")
            manager.wait("STATUS=replica 0 of 1 serves clients")
            cluster.client(0).ping()
            for _ in range(3):
                manager.wait("WATCHDOG=1")
            assert manager.process is not None
            manager.process.send_signal(signal.SIGHUP)
            manager.wait("RELOADING=1")
            manager.wait("READY=1")
            manager.process.terminate()
            manager.wait("STOPPING=1")
            self.assertEqual(manager.ended(), 0)

    def test_the_first_members_are_waited_for(self) -> None:
        """It asks for more time as long as that takes."""
        with Cluster(2) as cluster, Manager(cluster) as manager:
            manager.start()
            manager.wait("STATUS=waits until every first member has been there once")
            for _ in range(2):
                manager.wait("EXTEND_TIMEOUT_USEC=60000000")
            self.assertNotIn("READY=1", manager.told())
            cluster.start(1)
            manager.wait("READY=1")

    def test_a_restore_that_lasts(self) -> None:
        """The loop stands still, and the process asks for more time as long as it works."""
        for how, lives in (("pass", True), ("time.sleep(0.1)", False)):
            with Cluster(1) as cluster, Manager(cluster) as manager:
                manager.start(first=SLOW.format(seconds=6 * WATCHDOG_S, how=how))
                manager.wait("STATUS=restores its data")
                time.sleep(2 * WATCHDOG_S)
                self.assertEqual("WATCHDOG=1" in manager.told(), lives)
                self.assertEqual("EXTEND_TIMEOUT_USEC=60000000" in manager.told(), lives)
                self.assertNotIn("READY=1", manager.told())
                manager.wait("READY=1")

    def test_a_loop_that_hangs(self) -> None:
        """Nobody else feeds the watchdog, whose SIGABRT leaves a traceback."""
        with Cluster(1) as cluster, Manager(cluster) as manager:
            manager.start(first=HANGS)
            manager.wait("READY=1")
            client = cluster.client(0)
            client.set("a", "b")
            assert manager.process is not None
            manager.process.send_signal(signal.SIGRTMIN)
            time.sleep(0.2)
            manager.told().clear()
            time.sleep(WATCHDOG_S)
            self.assertEqual(manager.told(), [])
            manager.process.send_signal(signal.SIGABRT)
            self.assertEqual(manager.ended(), -signal.SIGABRT)
            self.assertIn("Fatal Python error: Aborted", cluster.log(0))
            self.assertIn("in hang\n", cluster.log(0))
            manager.start()
            manager.wait("READY=1")
            self.assertEqual(cluster.client(0).get("a"), b"b")


class PassedSocketTests(SynchronousTestCase):
    def test_a_restart_refuses_nobody(self) -> None:
        """Who connects while the replica is away is served when it is back; also the other replicas."""
        with Cluster(2) as cluster, ExitStack() as stack:
            ports = {
                "status": cluster.status_ports[0],
                "client": cluster.redis_ports[0],
                "peer": cluster.base_port,
            }
            passed = {
                name: stack.enter_context(socket.create_server(("127.0.0.1", port)))
                for name, port in ports.items()
            }
            manager = stack.enter_context(Manager(cluster, passed))
            cluster.start(1)
            manager.start()
            manager.wait("READY=1")
            self.assertTrue(cluster.client(1).set("a", "b"))
            assert manager.process is not None
            for end in (signal.SIGTERM, signal.SIGKILL):
                manager.process.send_signal(end)
                self.assertIn(manager.ended(), (0, -signal.SIGKILL))
                with socket.create_connection(("127.0.0.1", ports["client"]), 30) as client:
                    client.sendall(b"GET a\r\n")
                    manager.start()
                    self.assertEqual(client.recv(100), b"$1\r\nb\r\n")
            wait_until("it serves its status", lambda: cluster.try_status(0))
            used = f"client port: the socket of the service manager at 127.0.0.1:{ports['client']} is used"
            self.assertIn(used, cluster.log(0))

    def test_over_udp(self) -> None:
        with Cluster(2, transport="udp") as cluster, ExitStack() as stack:
            there = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            there.bind(("127.0.0.1", cluster.base_port))
            manager = stack.enter_context(Manager(cluster, {"peer": there}))
            cluster.start(1)
            manager.start()
            manager.wait("READY=1")
            self.assertTrue(cluster.client(0).set("a", "b"))
            self.assertEqual(cluster.client(1).get("a"), b"b")

    def test_a_socket_in_place_of_tls(self) -> None:
        """What would serve without what the configuration asks for is refused."""
        with Cluster(1) as cluster, ExitStack() as stack:
            text = cluster.config.read_text()
            address = f"tcp:{cluster.redis_ports[0]}:interface=127.0.0.1"
            self.assertIn(address, text)
            cluster.config.write_text(text.replace(address, "haproxy:" + address))
            there = stack.enter_context(socket.create_server(("127.0.0.1", cluster.redis_ports[0])))
            manager = stack.enter_context(Manager(cluster, {"client": there}))
            manager.start()
            self.assertEqual(manager.ended(), 1)
            self.assertIn("only tcp, tcp6 and unix go with one", cluster.log(0))
