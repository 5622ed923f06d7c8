"""Replicas inside this process, on real sockets and disks."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.application.service import IService, MultiService
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from epaxos.config.model import ConfigError
from epaxos.embedded import MayHaveRun, NotRun, Replica, ReplicaFailed, calls, cluster
from epaxos.interfaces import CommandError, IClients, Replace, StoreError, Unavailable
from epaxos.machines import Machine, Refused, Table, command
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.tools.demo import free_base_port


class Counter(Machine):
    """Numbers."""

    numbers = Table(int)

    @command(writes="key")
    def incr(self, key: str, by: int = 1) -> int:
        self.numbers[key] += by
        if self.numbers[key] > 10_000:
            raise Refused("too much", code="MUCH")
        return self.numbers[key]

    @command(reads="key")
    def value(self, key: str) -> int:
        return self.numbers[key]

    @command(writes="key")
    def echo(self, key: str, value: object) -> object:
        return value

    @command(reads="name")
    def named(self, name: str) -> str:
        return name


SETTINGS = {
    "timing": {"heartbeat_s": 0.05, "suspect_after_s": 0.3, "resend_s": 0.1},
    "limits": {"request_timeout_s": 3},
}


class ReplicaTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        base = self.base = free_base_port(4)
        self.folder = Path(self.mktemp()).absolute()
        peers = [f"tcp:{base + id}:interface=127.0.0.1" for id in range(3)]
        self.config = cluster("counters", peers, self.folder, SETTINGS)
        self.failures: list[ReplicaFailed] = []
        self.replicas = [self.new(id) for id in range(3)]

    def new(self, id: int) -> Replica:
        replica = Replica(self.config, id, Counter, failed=self.failures.append)
        self.addCleanup(replica.stop)
        return replica

    async def start(self, ids: Iterable[int] = range(3)) -> list[Replica]:
        await gatherResults([self.replicas[id].start() for id in ids])
        return self.replicas

    def run_it(self, test: Coroutine[Any, Any, None]) -> Deferred[None]:
        return Deferred.fromCoroutine(test)

    async def fails(self, kind: type[Exception], call: Deferred[Any]) -> str:
        try:
            result = await call
        except kind as error:
            return str(error)
        raise AssertionError(f"it did not fail, and gave {result!r}")

    def test_calls(self) -> Deferred[None]:
        return self.run_it(self._calls())

    async def _calls(self) -> None:
        a, b, c = await self.start()
        verifyObject(IService, a)
        self.assertEqual(await a.call("incr", "k"), 1)
        self.assertEqual(await b.call("incr", "k", by=4), 5)
        self.assertEqual(await c.call("value", "k"), 5)
        value = [None, True, 2**200, 1.5, "ä", b"\xff", (1, [2]), {"z": 1, "a": {3: "x"}}]
        self.assertEqual(await c.call("echo", "k", value), value)
        self.assertEqual(await c.call("named", name="n"), "n")
        self.assertEqual(await self.fails(CommandError, a.call("incr", "k", 20_000)), "MUCH too much")
        self.assertEqual(await a.call("value", "k"), 5)
        self.assertEqual((await a.status())["state_machine"], "counter")
        self.assertEqual([call.called for call in (a.start(), b.start())], [True, True])
        many = await gatherResults([each.call("incr", "many") for each in (a, b, c) for _ in range(50)])
        self.assertEqual(sorted(many), list(range(1, 151)))

    def test_wrong_calls(self) -> Deferred[None]:
        return self.run_it(self._wrong_calls())

    async def _wrong_calls(self) -> None:
        a, *_ = await self.start()
        await self.fails(AttributeError, a.call("nothing"))
        await self.fails(TypeError, a.call("incr"))
        await self.fails(TypeError, a.call("incr", 3))
        await self.fails(ValueError, a.call("echo", "k", {1}))
        text = await self.fails(ValueError, a.call("echo", "k", "a" * 16_000_000))
        self.assertIn("command_bytes_max is 16000000", text)

    def test_too_many_calls(self) -> Deferred[None]:
        return self.run_it(self._too_many_calls())

    async def _too_many_calls(self) -> None:
        a, *_ = await self.start()
        for name, bound, text in (("CALLS_MAX", 3, "a"), ("BYTES_MAX", 2_500, "a" * 990)):
            with patch.object(calls, name, bound):
                waiting = [a.call("echo", "k", text) for _ in range(3 if name == "CALLS_MAX" else 2)]
                self.assertIn("calls wait already", await self.fails(NotRun, a.call("echo", "k", text)))
                self.assertEqual(await gatherResults(waiting), [text] * len(waiting))
                self.assertEqual(await a.call("echo", "k", text), text)

    def test_one_goes_and_comes_back(self) -> Deferred[None]:
        return self.run_it(self._comes_back())

    async def _comes_back(self) -> None:
        a, b, c = await self.start()
        await a.call("incr", "k")
        await c.stop()
        self.assertIn("does not run", await self.fails(NotRun, c.call("value", "k")))
        self.assertEqual(await b.call("incr", "k"), 2)
        await c.start()
        self.assertEqual(await c.call("value", "k"), 2)

    def test_one_is_away_for_too_long(self) -> Deferred[None]:
        return self.run_it(self._away_for_too_long())

    async def _away_for_too_long(self) -> None:
        """It takes the state of another member, and begins again within this process: no code of ours."""
        self.config = replace(self.config, limits=replace(self.config.limits, keep_instances=1_000))
        self.replicas = [self.new(id) for id in range(3)]
        a, b, c = await self.start()
        await c.stop()
        count = 0
        while (await b.status())["epoch"]["number"] == 0 and count < 5_000:
            await gatherResults([a.call("incr", f"k{key}") for key in range(10)])
            await gatherResults([b.call("incr", "k0", 0) for key in range(10)])
            count += 1
        await c.start()
        digests: set[str] = set()
        for _ in range(200):
            try:
                digests = {(await each.status(digest=True))["digest"] for each in (a, b, c)}
                if len(digests) == 1 and await c.call("value", "k0") == count:
                    break
            except Unavailable:
                """It begins again."""
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.assertEqual(len(digests), 1)
        self.assertEqual(await c.call("value", "k0"), count)
        self.assertEqual((await c.status())["epoch"]["number"], (await a.status())["epoch"]["number"])
        self.assertEqual(self.failures, [])

    def test_without_a_quorum(self) -> Deferred[None]:
        return self.run_it(self._without_a_quorum())

    async def _without_a_quorum(self) -> None:
        self.config = replace(self.config, limits=replace(self.config.limits, request_timeout_s=1.0))
        self.replicas = [self.new(id) for id in range(3)]
        a, b, c = await self.start()
        await gatherResults([b.stop(), c.stop()])
        text = await self.fails(MayHaveRun, a.call("incr", "k"))
        self.assertIn("no quorum answered within 1 s; the command may still run", text)
        waits = a.call("incr", "k")
        ended = self.fails(Unavailable, waits)
        stopped = a.stop()
        self.assertIn("the replica is stopping", await ended)
        await stopped
        await self.start()
        self.assertIn(await a.call("value", "k"), (0, 1, 2))

    def test_a_call_is_cancelled(self) -> Deferred[None]:
        return self.run_it(self._cancelled())

    async def _cancelled(self) -> None:
        a, *_ = await self.start()
        call = a.call("incr", "k")
        call.cancel()
        await self.fails(CancelledError, call)
        self.assertEqual(await a.call("incr", "other"), 1)

    def test_a_start_that_waits(self) -> Deferred[None]:
        return self.run_it(self._waits())

    async def _waits(self) -> None:
        """The first start needs every member; it may be given up, or the replica stopped meanwhile."""
        a, *_ = self.replicas
        first, second = a.start(), a.start()
        await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        self.assertIn("does not run", await self.fails(NotRun, a.call("incr", "k")))
        first.cancel()
        await self.fails(CancelledError, first)
        stopped = a.stop()
        self.assertIn("it was stopped", await self.fails(ReplicaFailed, second))
        await stopped
        await self.start()
        self.assertEqual(await a.call("incr", "k"), 1)

    def test_a_start_that_fails(self) -> Deferred[None]:
        return self.run_it(self._start_fails())

    async def _start_fails(self) -> None:
        """This program is told, and nothing ends."""
        await self.start()
        double = self.new(0)
        self.assertIn("is in use by another process", await self.fails(ReplicaFailed, double.start()))
        self.assertEqual(
            [str(error) for error in self.failures], [f"{self.folder}/0 is in use by another process"]
        )
        self.assertFalse(self.failures[0].is_wrong)
        self.assertIn("has failed: ", await self.fails(NotRun, double.call("incr", "k")))
        self.assertFalse(double.running)
        self.assertEqual(await self.replicas[0].call("incr", "k"), 1)

    def test_data_of_another_machine(self) -> Deferred[None]:
        return self.run_it(self._another_machine())

    async def _another_machine(self) -> None:
        await self.start()
        await self.replicas[0].stop()
        other = Replica(self.config, 0, Counter, name="other", failed=self.failures.append)
        self.addCleanup(other.stop)
        self.assertIn("state machine", await self.fails(ReplicaFailed, other.start()))
        self.assertTrue(self.failures[0].is_wrong)

    def test_one_takes_the_place_of_another(self) -> Deferred[None]:
        return self.run_it(self._one_takes_the_place())

    async def _one_takes_the_place(self) -> None:
        """The one that joins serves once it is added; the other one is told that no start helps."""
        a, b, c = await self.start()
        self.assertEqual(await a.call("incr", "k"), 1)
        peers = [replica.peer for replica in self.config.replicas]
        config = cluster(
            "counters", [*peers, f"tcp:{self.base + 3}:interface=127.0.0.1"], self.folder, SETTINGS
        )
        d = Replica(config, 3, Counter, join=f"tcp:127.0.0.1:{self.base}")
        self.addCleanup(d.stop)
        await d.start()
        self.assertIn("is not a member yet", await self.fails(NotRun, d.call("value", "k")))
        clients = IClients(a._service.node)
        while not any(one.behind is not None for one in clients.candidates()):
            await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        (candidate,) = clients.candidates()
        await clients.change(Replace(2, candidate.member))
        while not self.failures:
            await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        self.assertIn("replica 2 is not a member", str(self.failures[0]))
        self.assertTrue(self.failures[0].is_wrong)
        self.assertIn("is not a member", await self.fails(NotRun, c.call("value", "k")))
        while True:
            try:
                self.assertEqual(await d.call("incr", "k"), 2)
                break
            except NotRun:
                await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        await b.stop()
        self.assertEqual(await d.call("incr", "k"), 3)

    def test_where_it_cannot_join(self) -> None:
        for seed, text in (("udp:127.0.0.1:1", "transport = tcp"), ("nowhere", "join = nowhere: is not")):
            with self.assertRaisesRegex(ConfigError, text):
                Replica(self.config, 0, Counter, join=seed)

    def test_a_disk_that_fails(self) -> Deferred[None]:
        return self.run_it(self._disk_fails())

    async def _disk_fails(self) -> None:
        """While it runs: calls under way are told, and the program once."""
        stores: list[Any] = []
        opened = LevelDBStore.__init__

        def noted(store: Any, *arguments: Any, **named: Any) -> None:
            stores.append(named["failed"])
            opened(store, *arguments, **named)

        with patch.object(LevelDBStore, "__init__", noted):
            a, b, _ = await self.start()
        failed = self.fails(Unavailable, a.call("incr", "k"))
        for _ in range(2):
            stores[0](StoreError("the disk is full"))
        self.assertIn("the replica has failed", await failed)
        self.assertEqual([str(error) for error in self.failures], ["the disk is full"])
        self.assertFalse(a.running)
        self.assertIn("the disk is full", await self.fails(NotRun, a.call("value", "k")))
        self.assertEqual(await b.call("incr", "other"), 1)
        await a.stop()
        await a.start()
        self.assertEqual(await a.call("value", "other"), 1)

    def test_as_a_child_of_another_service(self) -> Deferred[None]:
        return self.run_it(self._child())

    async def _child(self) -> None:
        parent = MultiService()
        for replica in self.replicas:
            replica.setServiceParent(parent)
        parent.startService()
        await self.start()
        self.assertEqual(await self.replicas[1].call("incr", "k"), 1)
        await parent.stopService()
        await self.fails(NotRun, self.replicas[1].call("incr", "k"))

    def test_a_parent_that_starts_what_runs(self) -> Deferred[None]:
        return self.run_it(self._started_twice())

    async def _started_twice(self) -> None:
        parent = MultiService()
        await self.start()
        for replica in self.replicas:
            replica.setServiceParent(parent)
        parent.startService()
        self.assertEqual(await self.replicas[0].call("incr", "k"), 1)
        self.assertEqual(self.failures, [])
        await parent.stopService()

    def test_a_machine_that_cannot_be_made(self) -> None:
        class Broken(Machine):
            def __init__(self) -> None:
                raise RuntimeError("no")

        replica = Replica(self.config, 0, Broken)
        for _ in range(2):
            self.assertRaises(RuntimeError, replica.start)
            self.assertFalse(replica.running)
        self.successResultOf(replica.stop())

    def test_wrong_members(self) -> None:
        self.assertRaises(ConfigError, Replica, self.config, 3, Counter)
