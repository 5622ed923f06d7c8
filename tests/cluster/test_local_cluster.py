"""The programs behind `make run` and `make demo`."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.settings import Security
from epaxos.tools.demo import Line, disagreements
from epaxos.tools.launcher import address_of
from tests.cluster.harness import Cluster, wait_until

PATIENCE_S = 60


class Launched:
    """The launcher as a process, and its output so far."""

    def __init__(self, cluster: Cluster) -> None:
        self.output = cluster.folder / "launcher.log"
        command = [sys.executable, "-m", "epaxos.tools.local_cluster", "--config", str(cluster.config)]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=cluster.folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )

    def said(self) -> str:
        return self.output.read_text()

    def says(self, text: str, times: int = 1) -> None:
        """Wait until the output has this text."""
        wait_until(f"it says {text!r}:\n{self.said()}", lambda: self.said().count(text) >= times, PATIENCE_S)

    def pid_of(self, id: int) -> int:
        """The process of a replica: a child of the launcher."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (pid,) = (pid for pid in children if f"--id\0{id}\0" in Path(f"/proc/{pid}/cmdline").read_text())
        return int(pid)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class AddressTests(SynchronousTestCase):
    def test_where_replicas_are_asked(self) -> None:
        """Not where protected mode would refuse the launcher, which is a stranger there."""
        elsewhere = "tcp:7100:interface=192.0.2.7"
        for endpoint, security, expected in (
            (elsewhere, Security(), None),
            (elsewhere, Security(protected_mode=False), ("192.0.2.7", 7100)),
            (elsewhere, Security(requirepass="x"), ("192.0.2.7", 7100)),
            ("tcp:7100", Security(), ("127.0.0.1", 7100)),
            ("tcp:7100:interface=localhost", Security(), ("localhost", 7100)),
            ("tcp:7100:interface=127.0.0.9", Security(), ("127.0.0.9", 7100)),
            ("unix:/x", Security(), None),
        ):
            self.assertEqual(address_of(endpoint, security), expected, f"{endpoint} {security}")


class LauncherTests(SynchronousTestCase):
    @contextmanager
    def launched(self, cluster: Cluster) -> Iterator[Launched]:
        launched = Launched(cluster)
        try:
            yield launched
        except BaseException:
            print(f"---- what the launcher said\n{launched.said()[-5000:]}", file=sys.stderr)
            raise
        finally:
            launched.process.terminate()  # after a kill the replicas would go on
            launched.process.wait(PATIENCE_S)

    def check_all_gone(self, cluster: Cluster) -> None:
        for port in cluster.redis_ports + cluster.status_ports:
            self.assertTrue(is_free(port), "a replica is still there")

    def test_from_ready_to_the_end(self) -> None:
        with Cluster() as cluster, self.launched(cluster) as launched:
            launched.says("is ready: 3 replicas")
            for port in cluster.redis_ports + cluster.status_ports:
                self.assertIn(f"tcp:{port}:", launched.said())
            self.assertTrue(cluster.client(0).set("a", "b"))
            for id in range(3):
                self.assertRegex(launched.said(), rf"(?m)^{id} \| .*replica {id} of 3")

            # A killed replica is started again, and has forgotten nothing.
            subprocess.run(["kill", "-9", str(launched.pid_of(2))], check=True)
            launched.says("replica 2 was killed by SIGKILL")
            self.assertEqual(cluster.client(1).get("a"), b"b")
            launched.says("replica 2 of 3 is ready for clients", 2)
            self.assertEqual(cluster.client(2).get("a"), b"b")

            # So is a replica that alone got a Ctrl-C.
            os.kill(launched.pid_of(1), signal.SIGINT)
            launched.says("replica 1, which was killed by SIGINT, is started again")
            launched.says("replica 1 of 3 is ready for clients", 2)

            launched.process.send_signal(signal.SIGINT)
            launched.process.wait(PATIENCE_S)
            self.check_all_gone(cluster)
            self.assertNotIn("Traceback", launched.said())
            self.assertEqual(launched.said().count("is started again\n"), 2)

    def test_with_a_password(self) -> None:
        """The launcher gives it, to see whether the cluster is ready, and prints it nowhere."""
        with Cluster(settings="[security]\nrequirepass = opensesame\n") as cluster:
            with self.launched(cluster) as launched:
                launched.says("is ready: 3 replicas")
                self.assertNotIn("opensesame", launched.said())
            self.check_all_gone(cluster)

    def test_interrupted_again_and_again(self) -> None:
        """Somebody who presses Ctrl-C until it ends gets no traceback."""
        with Cluster() as cluster, self.launched(cluster) as launched:
            launched.says("is ready: 3 replicas")
            end = time.monotonic() + PATIENCE_S
            while launched.process.poll() is None and time.monotonic() < end:
                launched.process.send_signal(signal.SIGINT)
                time.sleep(0.02)
            self.check_all_gone(cluster)
            self.assertNotIn("Traceback", launched.said())

    def test_a_replica_that_ends_by_itself_ends_all(self) -> None:
        with Cluster() as cluster, socket.create_server(("127.0.0.1", cluster.redis_ports[1])):
            with self.launched(cluster) as launched:
                self.assertEqual(launched.process.wait(PATIENCE_S), 1)
                self.assertIn("epaxos: replica 1 ended with status 1", launched.said())
                self.assertIn("Address already in use", launched.said())
                self.assertNotIn("Traceback", launched.said())
            self.assertTrue(all(map(is_free, cluster.status_ports)))

    def test_a_second_launcher_does_not_take_the_first_cluster_for_its_own(self) -> None:
        with Cluster() as cluster, self.launched(cluster) as first:
            first.says("is ready: 3 replicas")
            with self.launched(cluster) as second:
                self.assertEqual(second.process.wait(PATIENCE_S), 1)
                self.assertIn("is in use by another process", second.said())
                self.assertNotIn("is ready", second.said())

    def test_the_terminal_is_closed(self) -> None:
        """All replicas end; a replica without the launcher would go on."""
        with Cluster() as cluster, self.launched(cluster) as launched:
            launched.says("is ready: 3 replicas")
            for pid in [launched.pid_of(id) for id in range(3)]:
                os.kill(pid, signal.SIGHUP)
            launched.process.send_signal(signal.SIGHUP)
            launched.process.wait(PATIENCE_S)
            self.check_all_gone(cluster)

    def test_nobody_reads_what_it_says(self) -> None:
        """As in `make run | head -1`: the launcher stops the replicas, and ends with status 1."""
        with Cluster() as cluster:
            command = [sys.executable, "-m", "epaxos.tools.local_cluster", "--config", str(cluster.config)]
            with subprocess.Popen(
                command, cwd=cluster.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                process.stdout.close()
                self.assertEqual(process.wait(PATIENCE_S), 1)
            self.check_all_gone(cluster)

    def test_a_wrong_configuration(self) -> None:
        with Cluster(settings="[timing]\ncolour = red\n") as cluster, self.launched(cluster) as launched:
            self.assertEqual(launched.process.wait(PATIENCE_S), 1)
            self.assertRegex(launched.said(), r"^epaxos: .*cluster\.ini: .*colour.*\n$")


class DemoTests(SynchronousTestCase):
    def test_the_demonstration(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "epaxos.tools.demo"], capture_output=True, text=True, timeout=60, cwd="/"
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        for id in range(3):
            self.assertIn(f"replica {id}", done.stdout)
        proposed = set(re.findall(r"\d+\.\d+ \w+ from \d, \d of \d", done.stdout))
        self.assertEqual(len(proposed), 27)
        self.assertIn("the same on all replicas", done.stdout)

    def test_what_it_would_find(self) -> None:
        a1, a2, b1 = ("0.1", "a", "x"), ("1.1", "a", "y"), ("2.1", "b", "z")
        cases: list[tuple[list[Line], list[Line], list[str]]] = [
            ([a1, a2, b1], [a1, a2, b1], []),
            ([a1, a2, b1], [b1, a1, a2], []),
            ([a1, a2, b1], [a2, a1, b1], ["a: replicas 0 and 1"]),
            ([a1, a2], [a1], ["a: replicas 0 and 1"]),
            ([a1], [a1, b1], ["b: replicas 0 and 1"]),
            ([a1, b1], [a1], ["b: replicas 0 and 1"]),
            ([a1], [a1, a1], ["a: replicas 0 and 1"]),
        ]
        for first, second, found in cases:
            self.assertEqual(disagreements({0: first, 1: second}), found)
