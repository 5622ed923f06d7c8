"""docs: using/embedded and using/state-machines, as programs in processes of their own.

The programs are those of the pages, with ports that are free.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import redis
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from epaxos.tools.demo import free_base_port
from tests.cluster.harness import TWISTD, wait_until
from tests.machines.pages import ROOT, fenced, page, write_modules

HELD = re.compile(r"^worker (\d) has the printer, with the number (\d+)$", re.MULTILINE)


class EmbeddedTests(SynchronousTestCase):
    timeout = 120

    def setUp(self) -> None:
        self.folder = write_modules(Path(self.mktemp()).absolute())
        self.worker, self.asyncio = fenced(page("embedded"), "python")
        self.base = free_base_port(3)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.addCleanup(self.end_all)

    def with_ports(self, source: str) -> str:
        """The program with ports that are free."""
        found = source.replace("(7400, 7401, 7402)", str((self.base, self.base + 1, self.base + 2)))
        self.assertNotEqual(found, source)
        return found

    def end_all(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def log(self, id: int) -> str:
        path = self.folder / f"{id}.txt"
        return path.read_text() if path.exists() else ""

    def start(self, id: int, *command: str) -> None:
        with (self.folder / f"{id}.txt").open("ab") as log:
            self.processes[id] = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)])},
            )

    def start_worker(self, id: int) -> None:
        self.start(id, sys.executable, "worker.py", str(id))

    def held(self, *ids: int) -> list[tuple[int, int]]:
        """The numbers that workers say they had, with those workers."""
        return [(int(number), int(id)) for one in ids for id, number in HELD.findall(self.log(one))]

    def gets_more(self, *ids: int) -> None:
        """Wait until each of these workers has had the printer three times more."""
        before = {id: len(self.held(id)) for id in ids}
        wait_until(
            f"workers {ids} get the printer: {[self.log(id)[-500:] for id in ids]}",
            lambda: all(len(self.held(id)) >= before[id] + 3 for id in ids),
            40,
        )

    def test_one_is_killed_and_comes_back(self) -> None:
        """The others go on, a restart takes what it missed, and no number is given to two workers."""
        (self.folder / "worker.py").write_text(self.with_ports(self.worker))
        for id in range(3):
            self.start_worker(id)
        self.gets_more(0, 1, 2)
        for _ in range(3):
            self.processes[2].send_signal(signal.SIGKILL)
            self.processes[2].wait()
            last = max(self.held(0, 1, 2))[0]
            self.gets_more(0, 1)
            missed = max(self.held(0, 1))[0]
            self.assertGreaterEqual(missed, last + 6)
            self.start_worker(2)
            self.gets_more(2)
            self.assertFalse([number for number, _ in self.held(2) if last < number <= last + 6])
        owners: dict[int, set[int]] = {}
        for number, id in self.held(0, 1, 2):
            owners.setdefault(number, set()).add(id)
        self.assertEqual({number: ids for number, ids in owners.items() if len(ids) > 1}, {})
        for id in range(3):
            numbers = [number for number, _ in self.held(id)]
            self.assertEqual(numbers, sorted(numbers))
            self.assertNotIn("Traceback", self.log(id))

    def test_under_asyncio(self) -> None:
        (self.folder / "main.py").write_text(self.with_ports(self.asyncio))
        for id in range(3):
            self.start(id, sys.executable, "-X", "dev", "-W", "ignore", "main.py", str(id))
        for id, process in self.processes.items():
            self.assertEqual(process.wait(60), 0, self.log(id))
            self.assertIn("the number is 1\n", self.log(id))
            self.assertNotIn("Traceback", self.log(id))

    def test_under_twistd(self) -> None:
        """With a plugin and clients of the Redis protocol, beside a member within a program."""
        section, settings = "", fenced(page("state-machines"), "ini")[0]
        for id in range(3):
            section += f"[replica {id}]\npeer = tcp:{self.base + id}:interface=127.0.0.1\ndata = data/{id}\n"
            section += f"client = tcp:{self.base + 100 + id}:interface=127.0.0.1\n"
            section += f"status = tcp:{self.base + 200 + id}:interface=127.0.0.1\n"
        (self.folder / "counter.ini").write_text(settings + section)
        for id in range(2):
            self.start(id, *TWISTD, "-n", "epaxos", "--id", str(id), "--config", "counter.ini")
        (self.folder / "member.py").write_text(MEMBER)
        self.start(2, sys.executable, "member.py")
        wait_until("the member within the program has counted", lambda: "it is 1\n" in self.log(2), 40)
        self.see_console()
        first, second = (redis.Redis(port=self.base + 100 + id) for id in range(2))
        self.assertEqual(first.execute_command("incr", "members"), 2)
        self.assertEqual(second.execute_command("INCR", "visits"), 6)
        self.assertEqual(second.execute_command("=VALUE", "visits"), b"6")
        self.assertEqual(second.execute_command("value", "visits"), 6)
        self.assertRaises(redis.ResponseError, first.execute_command, "incr", "visits", "many")
        shown = first.command()
        self.assertEqual((shown["incr"]["arity"], shown["value"]["flags"]), (-2, ["readonly"]))
        with redis.Redis(port=self.base + 102) as member:
            self.assertEqual(member.execute_command("value", "visits"), 6)
            self.assertEqual(member.info("keyspace"), {"db0": {"keys": 2, "expires": 0, "avg_ttl": 0}})

    def see_console(self) -> None:
        """What the page shows of redis-cli, at the ports of this cluster."""
        if shutil.which("redis-cli") is None:
            raise SkipTest("redis-cli is not installed")
        for line in fenced(page("state-machines"), "console")[0].strip().split("$ ")[1:]:
            command, _, shown = line.partition("\n")
            program, _, port, *words = command.split()
            at = str(self.base + int(port) - 7000)
            done = subprocess.run([program, "--no-raw", "-p", at, *words], capture_output=True, text=True)
            self.assertEqual(done.stdout.strip(), shown.strip())


MEMBER = """
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from counter import Counter
from epaxos.config.file import load
from epaxos.embedded import Replica


async def main(reactor):
    replica = Replica(load("counter.ini"), 2, Counter)
    await replica.start()
    print("it is", await replica.call("incr", "members"), flush=True)
    await Deferred()


react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""
