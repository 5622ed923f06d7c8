"""The client library against real replicas: kills, and every example of docs: using/client-library."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "using" / "client-library.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CACHE = ROOT / ".mypy_cache" / "client"
FAILURES_S = 30.0
LONGEST_S, SILENT_LONGEST_S = 2.0, 4.0
"""What a call may take at most when a replica is killed, and when one falls silent: the client then waits for
`suspect_s`, and the next replica for `suspect_after_s`, as the other one may owe it an answer, too."""


class FailureTests(SynchronousTestCase):
    """One replica after the other fails, under twenty coroutines of one client that count."""

    timeout = 240

    def count(self, fail: Callable[[Cluster, int], None], seconds: float = FAILURES_S) -> list[float]:
        """The times that the longest calls took, in seconds, while `fail(cluster, id)` was called in turn."""
        with Cluster(3).start().ready() as cluster:
            command = [sys.executable, "-m", "tests.cluster.client_load"]
            addresses = [f"127.0.0.1:{port}" for port in cluster.redis_ports]
            with subprocess.Popen(
                [*command, *addresses], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as load:
                try:
                    failures, ends = 0, time.monotonic() + seconds
                    while time.monotonic() < ends:
                        time.sleep(1)
                        fail(cluster, failures % 3)
                        failures += 1
                    out, _ = load.communicate(timeout=60)
                finally:
                    load.kill()
            done = json.loads(out)
            self.assertEqual(done["errors"], [])
            count = len(done["replies"])
            self.assertEqual(sorted(done["replies"]), list(range(1, count + 1)))
            self.assertEqual([int(cluster.client(id).get("sum")) for id in range(3)], [count] * 3)
            self.assertGreater(failures, 3)
            longest_s: list[float] = done["longest_s"]
            print(f"{count} calls over {failures} failures; median {done['median_s']} s, longest {longest_s}")
            return longest_s

    def test_killed(self) -> None:
        def kill(cluster: Cluster, id: int) -> None:
            cluster.kill(id)
            time.sleep(1)
            cluster.start(id).ready()

        self.assertLess(self.count(kill)[-1], LONGEST_S)

    def test_paused(self) -> None:
        """It keeps its connections, and says nothing: clients and members have to notice that by the time."""

        def pause(cluster: Cluster, id: int) -> None:
            cluster.signal(signal.SIGSTOP, id)
            time.sleep(5)
            cluster.signal(signal.SIGCONT, id)
            cluster.ready()

        self.assertLess(self.count(pause)[-1], SILENT_LONGEST_S)

    def test_turns_of_the_epoch(self) -> None:
        """Sessions go over into the next epoch."""

        def turn(cluster: Cluster, id: int) -> None:
            cluster.client(id).execute_command("EPAXOS", "TURN")
            cluster.settled()

        self.assertLess(self.count(turn, 10)[-1], LONGEST_S)


class PageTests(SynchronousTestCase):
    """Every example is run as a program of its own, on the ports of a test, and says what the page says."""

    timeout = 120

    def examples(self) -> list[tuple[str, str]]:
        found = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
        self.assertEqual(len(found), PAGE.read_text(encoding="utf-8").count("```python"))
        return [(str(source), str(said)) for source, said in found]

    def test_examples(self) -> None:
        with Cluster(3).start().ready() as cluster:
            for source, said in self.examples():
                own = re.sub(r":710(\d)", lambda port: f":{cluster.redis_ports[int(port[1])]}", source)
                done = subprocess.run(
                    [sys.executable, "-W", "error", "-c", own],
                    capture_output=True,
                    text=True,
                    timeout=30,
                    cwd=ROOT,
                )
                self.assertEqual((done.stdout, done.stderr), (said, ""), source)

    def test_a_client_of_a_configuration(self) -> None:
        source = (
            "import sys\n"
            "from twisted.internet.task import react\n"
            "from epaxos.client import Client\n"
            "async def main(reactor):\n"
            "    async with Client.from_config(sys.argv[1]) as client:\n"
            "        print(await client.call('INCR', 'visits'))\n"
            "react(main)\n"
        )
        with Cluster(3, "\n[security]\nrequirepass = secret\n").start() as cluster:
            done = subprocess.run(
                [sys.executable, "-c", source, str(cluster.config)],
                capture_output=True,
                text=True,
                timeout=60,
                cwd=ROOT,
            )
            self.assertEqual((done.stdout, done.stderr), ("1\n", ""))


TYPED = """
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from typing_extensions import assert_type

from epaxos.client import Client, ClientError, MayHaveRunError, ReplyError, UnavailableError, Word


async def use(reactor: object) -> None:
    client = Client(["127.0.0.1:7100"], password="", timeout_s=5, reactor=reactor)
    assert_type(client, Client)
    assert_type(Client.from_config("cluster.ini", exactly_once=False), Client)
    assert_type(client.connect(), Deferred[None])
    assert_type(client.call("INCRBY", b"n", 2), Deferred[Any])
    commands: list[Sequence[Word]] = [("GET", "n"), [b"INCR", "n"]]
    assert_type(client.pipeline(commands), Deferred[list[Any]])
    assert_type(await client.pipeline([("GET", "n"), ("SET", "n", 1)]), list[Any])
    assert_type(client.close(), Deferred[None])
    async with client as same:
        assert_type(same, Client)
    errors: list[type[ClientError]] = [MayHaveRunError, ReplyError, UnavailableError]
    assert_type(ReplyError("ERR").code, str)
    client.call("SET", None)  # wrong
    client.call(["SET", "a"])  # wrong
    Client(["a:1"], "password")  # wrong
    Client([7100])  # wrong
"""


class TypeTests(SynchronousTestCase):
    """The types of the public names, as mypy sees them from outside."""

    def mypy(self, source: str) -> Any:
        path = Path(self.mktemp()).absolute()
        path.write_text(source)
        return subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={CACHE}", path.name],
            capture_output=True,
            text=True,
            cwd=path.parent,
        )

    def test_types(self) -> None:
        done = self.mypy(TYPED)
        wrong = [number for number, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# wrong")]
        found = re.findall(r":(\d+): error: ", done.stdout)
        self.assertEqual(list(map(int, found)), wrong, done.stdout)
        self.assertEqual(len(wrong), 4)
