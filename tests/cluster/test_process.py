"""How real processes end when streams, disks or their own components are broken; signals and pid files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import redis
from twisted.trial.unittest import SynchronousTestCase

from epaxos.service.exit_status import FAIL_S_MAX
from tests.builds import plain_only
from tests.cluster.harness import TWISTD, Cluster, wait_until

BROKEN = [sys.executable, "-m", "tests.cluster.broken"]
ROOT = Path(__file__).parents[2]
FULL_DISK = ["prlimit", "--fsize=1000000", "--"]
PATIENCE_S = 30
MEMORY = "[storage]\nengine = memory\n"


class ProcessCase(SynchronousTestCase):
    """A cluster of one replica."""

    def options(self, cluster: Cluster, id: int = 0) -> list[str]:
        return ["epaxos", "--id", str(id), "--config", str(cluster.config)]

    @contextmanager
    def running(
        self, cluster: Cluster, command: Sequence[str], **options: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        process = subprocess.Popen(
            command, cwd=cluster.folder, env=environment, stdin=subprocess.DEVNULL, **options
        )
        try:
            wait_until("it answers", lambda: process.poll() is not None or cluster.try_status(0))
            self.assertIsNone(process.poll(), "it ended")
            yield process
        finally:
            process.kill()
            process.wait()

    def fill_disk(self, cluster: Cluster, process: subprocess.Popen[bytes], timeout_s: float) -> int:
        """Write until the replica gives up, and return its exit status."""

        def write() -> None:
            with contextlib.suppress(redis.RedisError, OSError):
                client = cluster.client(0, timeout_s=1)
                for number in range(1000):
                    client.set(f"key {number}", b"x" * 10_000)

        writer = Thread(target=write, daemon=True)
        writer.start()
        try:
            return process.wait(timeout_s)
        finally:
            process.kill()
            writer.join()


class BrokenStreamTests(ProcessCase):
    """A replica that must stop ends with status 1, whatever is wrong with its output streams."""

    def test_a_broken_pipe(self) -> None:
        """`twistd -n … 2>&1 | head -3`, then the disk fills."""
        with Cluster(1) as cluster:
            command = [*FULL_DISK, *TWISTD, "-n", *self.options(cluster)]
            read, write = os.pipe()
            with self.running(cluster, command, stdout=write, stderr=write) as process:
                os.close(write)
                os.read(read, 10)
                os.close(read)
                self.assertEqual(self.fill_disk(cluster, process, PATIENCE_S), 1)

    def test_a_disk_of_the_log_that_is_full(self) -> None:
        with Cluster(1) as cluster, open("/dev/full", "wb", 0) as full:
            command = [*FULL_DISK, *TWISTD, "-n", *self.options(cluster)]
            with self.running(cluster, command, stdout=full, stderr=full) as process:
                self.assertEqual(self.fill_disk(cluster, process, PATIENCE_S), 1)

    def test_closed_streams(self) -> None:
        """`twistd -n … <&- >&- 2>&-`: no file of the store may become an output stream."""
        with Cluster(1) as cluster:
            close = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
            command = [*close, *FULL_DISK, *TWISTD, "-n", *self.options(cluster)]
            with self.running(cluster, command) as process:
                for descriptor in range(3):
                    path = os.readlink(f"/proc/{process.pid}/fd/{descriptor}")
                    self.assertEqual(path, "/dev/null")
                self.assertEqual(self.fill_disk(cluster, process, PATIENCE_S), 1)

    def test_a_pipe_that_nobody_reads(self) -> None:
        """A write to the pipe would block for ever."""
        with Cluster(1) as cluster:
            command = [*FULL_DISK, *TWISTD, "-n", *self.options(cluster)]
            read, write = os.pipe()
            with self.running(cluster, command, stdout=write, stderr=write) as process:
                fcntl.fcntl(write, fcntl.F_SETFL, os.O_NONBLOCK)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        os.write(write, b"x" * 4096)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        os.write(write, b"x")
                fcntl.fcntl(write, fcntl.F_SETFL, 0)
                os.close(write)
                self.assertEqual(self.fill_disk(cluster, process, FAIL_S_MAX + PATIENCE_S), 1)
                os.close(read)

    def test_told_to_stop(self) -> None:
        """With a closed stdout, and told more than once: status 0."""
        with Cluster(1) as cluster:
            for _ in range(5):
                read, write = os.pipe()
                command = [*TWISTD, "-n", *self.options(cluster)]
                with self.running(cluster, command, stdout=write, stderr=write) as process:
                    os.close(write)
                    os.close(read)
                    cluster.client(0).set("a", "b")
                    while process.poll() is None:
                        process.terminate()
                        time.sleep(0.002)
                    self.assertEqual(process.returncode, 0)
            cluster.start().ready()
            self.assertEqual(cluster.client(0).get("a"), b"b")


@plain_only
class BrokenPartTests(ProcessCase):
    """A component of the process is broken (`broken.py`)."""

    def test_an_observer_of_the_log_that_raises(self) -> None:
        with Cluster(1) as cluster:
            command = [*BROKEN, "log", "-n", *self.options(cluster)]
            with self.running(cluster, command, stdout=subprocess.DEVNULL) as process:
                self.assertTrue(cluster.client(0).set("a", "b"))
                process.terminate()
                self.assertEqual(process.wait(PATIENCE_S), 0)
        with Cluster(1) as cluster:
            command = [*FULL_DISK, *BROKEN, "log", "-n", *self.options(cluster)]
            with self.running(cluster, command, stdout=subprocess.DEVNULL) as process:
                self.assertEqual(self.fill_disk(cluster, process, PATIENCE_S), 1)

    def test_a_failure_and_a_disk_that_hangs(self) -> None:
        for how in ("close", "close-hard"):
            with Cluster(1) as cluster:
                command = [*FULL_DISK, *BROKEN, f"brief+{how}", "-n", *self.options(cluster)]
                with self.running(cluster, command, stdout=subprocess.DEVNULL) as process:
                    self.assertEqual(self.fill_disk(cluster, process, PATIENCE_S), 1, how)

    def test_a_stop_and_a_disk_that_hangs(self) -> None:
        """The replica says so, and has lost nothing."""
        for how in ("close", "close-hard"):
            with Cluster(1) as cluster:
                command = [*BROKEN, f"brief+{how}", "-n", *self.options(cluster)]
                with self.running(
                    cluster, command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                ) as process:
                    cluster.client(0).set("a", "b")
                    process.terminate()
                    self.assertEqual(process.wait(PATIENCE_S), 1, how)
                    assert process.stderr is not None
                    if how == "close":
                        self.assertEqual(
                            process.stderr.read(), b"epaxos: it has not stopped within 1 s: it is ended\n"
                        )
                    process.stderr.close()
                cluster.start().ready()
                self.assertEqual(cluster.client(0).get("a"), b"b")

    def test_a_stop_whose_last_write_fails(self) -> None:
        """The replica reports the failure, although it serves no client any more."""
        with Cluster(1) as cluster:
            command = [*BROKEN, "disk", "-n", *self.options(cluster)]
            with self.running(cluster, command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                cluster.client(0).set("a", "b")
                (cluster.folder / "full").touch()
                process.terminate()
                _, errors = process.communicate(timeout=PATIENCE_S)
                self.assertEqual(process.returncode, 1)
                self.assertIn(b"cannot be written: [Errno 28] No space left on device", errors)
                self.assertEqual(errors.count(b"\n"), 1, errors)


class SignalTests(ProcessCase):
    def test_in_the_foreground(self) -> None:
        """No such signal kills, and each is logged."""
        with Cluster(1) as cluster:
            cluster.start().ready()
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                cluster.signal(number, 0)
                wait_until(
                    "it is said", lambda number=number: f"{number.name}: " in cluster.log(0)
                )  # and goes on:
                self.assertTrue(cluster.client(0).set("a", "b"))
            self.assertEqual(cluster.terminate(0), 0)

    def test_interrupted_and_terminated(self) -> None:
        """As at Ctrl-C under `make run`, which sends one and the terminal the other: the first decides how
        it ends, and there is no traceback."""
        for first, second, status in (
            (signal.SIGINT, signal.SIGTERM, -signal.SIGINT),
            (signal.SIGTERM, signal.SIGINT, 0),
        ):
            with Cluster(1) as cluster:
                command = [*TWISTD, "-n", *self.options(cluster)]
                with self.running(
                    cluster, command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                ) as process:
                    assert process.stdout is not None
                    process.send_signal(first)
                    said = b""
                    while f"{first.name}: stopping".encode() not in said:
                        line = process.stdout.readline()
                        self.assertTrue(line, said)
                        said += line
                    process.send_signal(second)
                    rest, _ = process.communicate(timeout=PATIENCE_S)
                    self.assertEqual(process.returncode, status)
                    self.assertNotIn(b"Traceback", said + rest)

    def test_both_signals_at_once(self) -> None:
        """Sent while the process cannot run, so that it finds both."""
        with Cluster(1) as cluster:
            command = [*TWISTD, "-n", *self.options(cluster)]
            with self.running(cluster, command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
                for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
                    process.send_signal(number)
                said, _ = process.communicate(timeout=PATIENCE_S)
                self.assertIn(process.returncode, (0, -signal.SIGINT))
                self.assertNotIn(b"Traceback", said)

    def test_of_a_daemon(self) -> None:
        with Cluster(1) as cluster, daemon(self, cluster) as pid:
            log = cluster.folder / "epaxos-0.log"
            moved = cluster.folder / "moved.log"
            log.rename(moved)
            os.kill(pid, signal.SIGHUP)
            wait_until("it is said", lambda: log.exists() and "SIGHUP: " in log.read_text())
            self.assertNotIn("SIGHUP: ", moved.read_text())
            os.kill(pid, signal.SIGUSR1)
            wait_until("it is said", lambda: "SIGUSR1: " in log.read_text())
            self.assertIn("SIGHUP: ", log.with_name("epaxos-0.log.1").read_text())
            os.kill(pid, signal.SIGUSR2)
            wait_until("it is said", lambda: "SIGUSR2: " in log.read_text())
            self.assertTrue(cluster.client(0).set("a", "b"))


def start_daemon(cluster: Cluster, id: int = 0) -> subprocess.CompletedProcess[str]:
    """Run twistd as an operator does, in the folder of the cluster, and return its output."""
    command = [*TWISTD, "epaxos", "--id", str(id), "--config", str(cluster.config)]
    return subprocess.run(command, cwd=cluster.folder, capture_output=True, text=True, timeout=PATIENCE_S)


@contextmanager
def daemon(case: SynchronousTestCase, cluster: Cluster, id: int = 0) -> Iterator[int]:
    """A daemon, which is stopped afterwards; yields its process id."""
    done = start_daemon(cluster, id)
    case.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
    pid_file = cluster.folder / f"epaxos-{id}.pid"
    pid = int(wait_until("the pid file is there", lambda: pid_file.read_text()))
    try:
        log = cluster.folder / f"epaxos-{id}.log"
        waits = "first start: replica"  # for another one, which is not there yet
        wait_until("it answers", lambda: cluster.try_status(id) or waits in log.read_text())
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_until("it is gone", lambda: not Path(f"/proc/{pid}").exists(), PATIENCE_S)


class PidFileTests(ProcessCase):
    """Only a running replica of ours keeps a daemon from starting."""

    def test_one_that_is_left(self) -> None:
        """A killed process has left its pid file.  The number may belong to another process by now: to
        this test, or to another replica, as happens with small numbers when containers or computers
        restart."""
        own = str(os.getpid())
        for settings, texts in (("", ["", "nobody", "-1", own, None]), (MEMORY, ["4194305", own, None])):
            for text in texts:
                with Cluster(2, settings) as cluster, daemon(self, cluster, 1) as other:
                    left = str(other) if text is None else text
                    (cluster.folder / "epaxos-0.pid").write_text(left)
                    with daemon(self, cluster) as pid:
                        self.assertNotEqual(str(pid), left)

    def test_one_of_a_replica_that_lives(self) -> None:
        """Neither the replica nor its pid file is touched."""
        for settings in ("", MEMORY):
            with Cluster(1, settings) as cluster, daemon(self, cluster) as pid:
                done = start_daemon(cluster)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                path = cluster.folder / "epaxos-0.pid"
                self.assertEqual(
                    done.stderr, f"epaxos: replica 0 runs already, says epaxos-0.pid: process {pid}\n"
                )
                self.assertEqual(int(path.read_text()), pid)
                self.assertTrue(cluster.try_status(0))

    def test_after_kill_9(self) -> None:
        with Cluster(1) as cluster:
            with daemon(self, cluster) as pid:
                os.kill(pid, signal.SIGKILL)
            self.assertTrue((cluster.folder / "epaxos-0.pid").exists())
            with daemon(self, cluster):
                pass
            self.assertFalse((cluster.folder / "epaxos-0.pid").exists())

    def test_one_that_cannot_be_used(self) -> None:
        with Cluster(1) as cluster:
            (cluster.folder / "epaxos-0.pid").mkdir()
            done = start_daemon(cluster)
            self.assertEqual(
                (done.returncode, done.stderr),
                (1, "epaxos: the pid file epaxos-0.pid cannot be used: Is a directory\n"),
            )


class AsciiTests(ProcessCase):
    """A terminal that can show only ASCII gets a line, not a traceback."""

    def run_ascii(self, cluster: Cluster, *options: str) -> subprocess.CompletedProcess[bytes]:
        environment = {
            **os.environ,
            "LC_ALL": "C",
            "PYTHONIOENCODING": "ascii",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
        }
        done = subprocess.run(
            [*TWISTD, "-n", "epaxos", *options],
            cwd=cluster.folder,
            env=environment,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        self.assertNotIn(b"Traceback", done.stdout + done.stderr)
        return done

    def test_what_is_not_ascii_is_escaped(self) -> None:
        with Cluster(1) as cluster:
            config = str(cluster.config)
            done = self.run_ascii(cluster, "--id", "x", "--config", config)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"'x' is not the number of a replica: 0, 1, 2 \\u2026", done.stdout)

            other = cluster.folder / "clüster.ini"
            other.write_text(cluster.config.read_text())
            done = self.run_ascii(cluster, "--id", "0", "--config", str(other), "--check")
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertRegex(
                done.stdout, rb"cl[\\\w]+ster\.ini: good; replica 0(, which was started before,| of 1) in "
            )

            other.write_text("[clüster]\n" + cluster.config.read_text())
            done = self.run_ascii(cluster, "--id", "0", "--config", str(other))
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rb"^epaxos: .*cl[\\\w]+ster.*\n$")
