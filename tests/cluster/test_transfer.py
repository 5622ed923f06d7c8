"""Members that were away while epochs ended take the state of another one, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import redis

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until
from tests.cluster.links import between
from tests.cluster.load import Load, connect
from tests.ctl.fake import run_process
from tests.generated.status import BEHIND_FIELDS

KEEP = 1000
VALUE_BYTES = 50_000
DELAY_MS = 60
AWAY = "the replica was away for too long, and takes the state of another one"
AGAIN = "replica 2 begins again in this process"


class Asker(Thread):
    """A client of one replica, which sets one new key after the other for as long as it runs, and sorts what
    it is told.  A context manager."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self.not_run: list[str] = []
        self.answers: list[str] = []
        self._port = port
        self._stopped = Event()

    def run(self) -> None:
        """See Thread."""
        number = 0
        while not self._stopped.wait(0.02):
            with contextlib.suppress(redis.exceptions.ConnectionError), connect(self._port) as client:
                while not self._stopped.is_set():
                    number += 1
                    self._ask(client, f"asked {number}")

    def _ask(self, client: redis.Redis, key: str) -> None:
        try:
            client.set(key, "value")
            self.acknowledged.append(key)
        except redis.exceptions.ResponseError as error:
            self.answers.append(str(error))
            if str(error).endswith("; the command was not run"):
                self.not_run.append(key)

    def __enter__(self) -> Asker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join(30)


class TransferTests(ClusterTestCase):
    """Replica 2 is the one that is away."""

    timeout = 400

    def load(self, cluster: Cluster, *ids: int) -> Load:
        return Load({id: cluster.redis_ports[id] for id in ids}, clients=2)

    def linked(self) -> Cluster:
        """A cluster whose links can be slow."""
        return Cluster(3, "", self.transport, linked=True)

    def fill(self, cluster: Cluster, megabytes: int) -> None:
        """Give the cluster a state that takes a while on a slow link."""
        client = cluster.client(0)
        for number in range(megabytes * 1_000_000 // VALUE_BYTES):
            client.set(f"filled {number}", bytes([number % 251]) * VALUE_BYTES)

    def epoch(self, cluster: Cluster, id: int) -> int:
        return int(cluster.status(id)["epoch"]["number"])

    def turns(self, cluster: Cluster, count: int, *ids: int) -> None:
        """Have epochs begin at these replicas, each once all of them are in the one before."""
        for _ in range(count):
            number = self.epoch(cluster, ids[0])
            wait_until("they are in one epoch", lambda n=number: {self.epoch(cluster, i) for i in ids} == {n})
            self.assertEqual(cluster.client(ids[0]).execute_command("EPAXOS", "TURN"), number + 1)

    def behind(self, cluster: Cluster, id: int = 2) -> dict[str, Any] | None:
        """What the replica says of the state that it takes."""
        status = cluster.try_status(id)
        behind: dict[str, Any] | None = None if status is None else status["epoch"]["behind"]
        return behind

    def taking(self, cluster: Cluster, what: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until this is so of the state that replica 2 takes."""

        def found() -> dict[str, Any] | None:
            self.assertNotIn(AGAIN, cluster.log(2), "the transfer was over too soon")
            behind = self.behind(cluster)
            return behind if behind is not None and is_so(behind) else None

        result: dict[str, Any] = wait_until(what, found, 60)
        return result

    def begun_again(self, cluster: Cluster, id: int = 2, times: int = 1) -> None:
        """Wait until the replica has begun again as often as this, within a process, and listens."""

        def has_begun() -> bool:
            lives = cluster.log(id).split(f"replica {id} begins again in this process")
            return len(lives) > times and "is ready for clients" in lives[times]

        wait_until(f"replica {id} has begun again", has_begun, 90)

    def is_back(self, cluster: Cluster) -> None:
        """Wait until replica 2 has begun again, and is in the epoch of replica 1."""
        self.begun_again(cluster)
        wait_until("it has followed", lambda: self.epoch(cluster, 2) >= self.epoch(cluster, 1), 60)

    def check(self, cluster: Cluster, *loads: Load) -> None:
        """All are equal and hold what was acknowledged; and so they are after a restart of all."""
        self.check_equal(cluster, *loads)
        for id in range(cluster.n):
            self.assertEqual(cluster.terminate(id), 0)
        cluster.start().ready()
        self.check_equal(cluster, *loads)
        for id in range(cluster.n):
            for bad in ("Traceback", "internal error", "not a frame", "unknown kind", "is refused: "):
                self.assertNotIn(bad, cluster.log(id))

    def check_equal(self, cluster: Cluster, *loads: Load) -> None:
        cluster.settled()
        cluster.equal_digests()
        for load in loads:
            for id in range(cluster.n):
                self.assertEqual(load.missing(cluster.client(id)), [], f"seen at replica {id}")

    # -- away, and back

    def test_killed_while_epochs_end_by_themselves(self) -> None:
        """The others hold no more in the third epoch of its absence than in the first, and it comes back
        while all of them are under load."""
        with self.cluster(3, f"[limits]\nkeep_instances = {KEEP}\n").start().ready() as cluster:
            with self.load(cluster, 0, 1) as load:
                load.wait_for_more(20, 0, 1)
                cluster.kill(2)
                first = self.epoch(cluster, 0)
                held: dict[int, int] = {}

                def three_have_ended() -> bool:
                    status = cluster.status(0)
                    number = status["epoch"]["number"]
                    held[number] = max(held.get(number, 0), status["counters"]["instances_held"])
                    return bool(number >= first + 3)

                wait_until("three epochs have ended", three_have_ended, 90)
                self.assertGreaterEqual(held[first], KEEP)
                self.assertLess(held[first + 2], 3 * held[first])
                self.assertLess(cluster.status(1)["counters"]["instances_held"], held[first + 2])
                cluster.start(2)
                self.is_back(cluster)
                load.wait_for_more(20, 0, 1)
            self.check(cluster, load)

    def test_stopped_for_a_while(self) -> None:
        """Its process goes on where it was, and finds that the others have left.  Clients of it, also those
        that were connected all the time, are refused or hung up on, and served again later.

        What the others send meanwhile is more than its connections hold; else it would follow by that.
        """
        settings = "[limits]\npeer_queue_bytes_max = 1000000\n"
        with self.cluster(3, settings).start().ready() as cluster, self.load(cluster, 0, 1, 2) as load:
            load.wait_for_more(20, 0, 1, 2)
            cluster.signal(signal.SIGSTOP, 2)
            cluster.sees_down(0, 2)
            self.fill(cluster, 30)
            self.turns(cluster, 3, 0, 1)
            load.wait_for_more(20, 0, 1)
            cluster.signal(signal.SIGCONT, 2)
            self.is_back(cluster)
            load.wait_for_more(20, 0, 1, 2)
        refused = [error for writer in load.of(2) for error in writer.refused]
        self.assertTrue(refused)
        self.assertEqual([error for writer in load.of(0, 1) for error in writer.refused], [])

    def test_away_for_one_turn_and_for_three(self) -> None:
        """For one turn no state is needed, because the others still have the epoch before."""
        with self.cluster().start().ready() as cluster:
            with self.load(cluster, 0, 1) as load:
                for count in (1, 3):
                    cluster.settled()
                    cluster.kill(2)
                    cluster.sees_down(0, 2)
                    load.wait_for_more(20, 0, 1)
                    self.turns(cluster, count, 0, 1)
                    load.wait_for_more(20, 0, 1)
                    cluster.start(2).ready(2, up=[2])
                    if count == 1:
                        cluster.settled()
                        self.assertNotIn(AGAIN, cluster.log(2))
                self.is_back(cluster)
                load.wait_for_more(20, 0, 1)
            self.check(cluster, load)

    def test_each_in_turn(self) -> None:
        """Who has taken a state gives it to the next one."""
        with self.cluster().start().ready() as cluster:
            with self.load(cluster, 0, 1, 2) as load:
                for away in (2, 0, 1, 2):
                    there = sorted({0, 1, 2} - {away})
                    load.wait_for_more(10, *there)
                    begun = cluster.log(away).count("begins again in this process")
                    cluster.kill(away)
                    cluster.sees_down(there[0], away)
                    self.turns(cluster, 2, *there)
                    cluster.start(away)
                    self.begun_again(cluster, away, begun + 1)
                    cluster.ready()
                    cluster.settled()
            self.check(cluster, load)

    # -- a transfer that takes a while

    def slow(self, cluster: Cluster) -> None:
        cluster.links.delay(between([2], [0, 1]), DELAY_MS)

    def away(self, cluster: Cluster, megabytes: int) -> None:
        """Fill the state, and have replica 2 be away for two turns; its links are slow then."""
        self.fill(cluster, megabytes)
        cluster.equal_digests()
        cluster.kill(2)
        cluster.sees_down(0, 2)
        self.turns(cluster, 2, 0, 1)
        self.slow(cluster)

    def test_its_clients_meanwhile(self) -> None:
        """They are refused at once, and what was refused never runs."""
        with self.linked().start().ready() as cluster:
            self.away(cluster, 20)
            cluster.start(2)
            behind = self.taking(cluster, "it says how far it is", lambda behind: behind["taken_bytes"] > 0)
            self.assertEqual({f"epoch.behind.{name}" for name in behind}, set(BEHIND_FIELDS))
            with Asker(cluster.redis_ports[2]) as asker:
                begin = time.monotonic()
                with self.assertRaisesRegex(redis.exceptions.ResponseError, AWAY):
                    cluster.client(2).get("filled 1")
                self.assertLess(time.monotonic() - begin, 2)
                self.check_ctl(cluster)
                self.is_back(cluster)
                cluster.links.calm()
                served = len(asker.acknowledged)
                wait_until("it is served", lambda: len(asker.acknowledged) > served, 60)
            self.assertIn(f"{AWAY}; the command was not run", asker.answers)
            self.check(cluster)
            with cluster.client(1) as client:
                self.assertEqual(sum(client.exists(key) for key in asker.not_run), 0)
                self.assertTrue(all(client.exists(key) for key in asker.acknowledged))

    def check_ctl(self, cluster: Cluster) -> None:
        """`epaxosctl status` shows how far it is, and `wait-ready` waits until it serves."""
        done = run_process("--at", f"127.0.0.1:{cluster.redis_ports[1]}", "status")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"\nreplica 2 takes the state of member [01]: \d+ %, .* of 20\.0 MB\n")
        at = f"127.0.0.1:{cluster.redis_ports[2]}"
        done = run_process("--at", at, "wait-ready", "--timeout", "0.3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("it takes the state of member", done.stderr)
        done = run_process("--at", at, "wait-ready", "--timeout", "50")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(AGAIN, cluster.log(2))

    def test_the_source_dies(self) -> None:
        """Another one takes its place."""
        with self.linked().start().ready() as cluster:
            self.away(cluster, 20)
            cluster.start(2)
            source = self.taking(cluster, "it takes", lambda behind: behind["taken_bytes"] > 2_000_000)[
                "source"
            ]
            cluster.kill(source)
            other = 1 - source
            self.taking(cluster, "it takes from the other one", lambda behind: behind["source"] == other)
            self.begun_again(cluster)
            cluster.links.calm()
            cluster.ready(other, 2)
            self.assertTrue(cluster.client(2).set("without the source", "works"))
            cluster.start(source).ready()
            self.check(cluster)

    def test_the_target_dies(self) -> None:
        """It goes on where it was, with the same source."""
        with self.linked().start().ready() as cluster:
            self.away(cluster, 20)
            cluster.kill(1)  # so that only one can be the source
            cluster.start(2)
            for least_bytes in (5_000_000, 10_000_000):
                enough = lambda behind, least=least_bytes: behind["taken_bytes"] >= least  # noqa: E731
                taken = self.taking(cluster, f"it has {least_bytes}", enough)["taken_bytes"]
                cluster.kill(2)
                done = run_process("inspect", cluster.data(2))
                self.assertRegex(done.stdout, r"\nunfinished transfer +\d+\.\d MB of another member's state")
                cluster.start(2)
                again = self.taking(cluster, "it knows the whole", lambda behind: behind["bytes"] > 0)
                self.assertGreaterEqual(again["taken_bytes"], taken - 2_500_000)
            self.begun_again(cluster)
            cluster.links.calm()
            cluster.start(1).ready()
            self.check(cluster)

    def test_turns_go_on_meanwhile(self) -> None:
        """The state grows and is written anew while it is taken, and what it takes is of a later epoch than
        what it began with."""
        with self.linked().start().ready() as cluster:
            self.away(cluster, 10)
            with self.load(cluster, 0, 1) as load:
                cluster.start(2)
                self.taking(cluster, "it takes", lambda behind: behind["taken_bytes"] > 1_000_000)
                self.turns(cluster, 1, 0, 1)
                self.fill(cluster, 10)
                cluster.links.calm()
                self.is_back(cluster)
                load.wait_for_more(20, 0, 1)
            self.check(cluster, load)


class TransferOverUdpTests(TransferTests):
    transport = "udp"
