"""Backups: which end of an epoch counts, when they are complete, and how they are given up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.interfaces import IBackups, Refusal, WriteSet
from epaxos.node.backups import TURNS_MAX, Backups
from epaxos.node.digest import digest_of
from epaxos.node.turns import Turns
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch, PreAccept
from tests.node.turning import FIRST, TurningCluster

NAME = "one"


@implementer(IBackups)
class Kept:
    """Remembers what it was told; `finish` waits while `finishing` is a Deferred."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.finishing: Deferred[dict[str, Any]] = succeed({"name": NAME})

    def prepare(self, name: str) -> Deferred[None]:
        self.told.append(("prepare", name))
        return succeed(None)

    def finish(self, name: str, digest: str) -> Deferred[dict[str, Any]]:
        self.told.append(("finish", name, digest))
        return self.finishing

    def give_up(self) -> None:
        self.told.append(("give up",))

    def listing(self) -> Deferred[list[dict[str, Any]]]:
        raise AssertionError("no node asks for it")

    read = delete = listing


class BackupsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = TurningCluster()
        self.kept = Kept()
        self.cluster.disks[0].backups = self.kept  # type: ignore[assignment]
        self.addCleanup(lambda: self.assertEqual(self.cluster.fatal, []))

    def backup(self) -> Deferred[dict[str, Any]]:
        return self.cluster.nodes[0].backup(NAME)

    def refused(self, backup: Deferred[dict[str, Any]]) -> str:
        return str(self.failureResultOf(backup, Refusal).value)

    def taken(self, id: int = 0) -> list[tuple[int, str]]:
        """The epochs that node `id` has opened, each with the name of the backup of its beginning."""
        return [(each.epoch, each.backup) for each in self.cluster.disks[id].writes if each.opened]

    def digest(self) -> str:
        """That of the state in which the last epoch began, as the disk holds it."""
        return digest_of(self.cluster.logs[0].entries())

    def test_the_state_at_the_beginning_of_an_epoch(self) -> None:
        cluster = self.cluster
        cluster.submit(2, [b"k", b"a"])
        cluster.run(0.1)
        digest = self.digest()
        backup = self.backup()
        cluster.run(0.1)
        self.assertEqual(self.successResultOf(backup), {"name": NAME})
        self.assertEqual(self.taken(), [(1, NAME)])
        self.assertEqual([self.taken(1), self.taken(2)], [[(1, "")]] * 2)
        self.assertEqual(self.kept.told, [("prepare", NAME), ("finish", NAME, digest)])
        self.assertEqual(self.successResultOf(self.turn()), 2)
        self.assertEqual(self.taken(), [(1, NAME), (2, "")])

    def turn(self, id: int = 0) -> Deferred[int]:
        turned = self.cluster.nodes[id].turn()
        self.cluster.run(0.1)
        return turned

    def test_an_end_that_another_member_proposed(self) -> None:
        """It may have been proposed before what was acknowledged before the backup was asked for."""
        cluster = self.cluster
        turned = cluster.nodes[1].turn()
        cluster.run(0.0015)  # node 0 knows of it
        self.assertEqual(cluster.epochs(), [0, 0, 0])
        backup = self.backup()
        cluster.run(0.2)
        self.assertEqual(self.successResultOf(turned), 1)
        self.assertEqual(self.successResultOf(backup), {"name": NAME})
        self.assertEqual(self.taken(), [(1, ""), (2, NAME)])

    def test_a_write_that_this_member_does_not_know(self) -> None:
        """It was acknowledged in the next epoch, which this member has not heard of: the backup has it."""
        cluster = self.cluster
        cluster.isolate(0)
        self.assertEqual(self.successResultOf(self.turn(1)), 1)
        outcomes = cluster.submit(1, [b"k", b"late"])
        cluster.run(0.1)
        self.assertEqual(len(outcomes), 1)
        cluster.cut.clear()
        backup = self.backup()
        cluster.run(1)
        self.assertEqual(self.successResultOf(backup), {"name": NAME})
        self.assertEqual(self.taken(), [(1, ""), (2, NAME)])
        self.assertEqual(cluster.logs[0].texts, {b"k": b"late"})
        self.assertEqual(self.kept.told[-1], ("finish", NAME, self.digest()))

    def test_an_end_that_was_proposed_here_before(self) -> None:
        cluster = self.cluster
        turned = cluster.nodes[0].turn()
        cluster.run(0.0015)
        self.assertEqual(len(cluster.sent(0, PreAccept)), 2)
        backup = self.backup()
        cluster.run(0.2)
        self.assertEqual(self.successResultOf(turned), 1)
        self.assertEqual(self.successResultOf(backup), {"name": NAME})
        self.assertEqual(self.taken(), [(1, ""), (2, NAME)])

    def test_others_are_always_first(self) -> None:
        cluster = self.cluster
        self.patch(Turns, "propose", lambda *_: None)  # of node 0; others do it in its place
        backup = self.backup()
        for number in range(1, TURNS_MAX + 1):
            cluster.nodes[1]._core.propose(Batch.opening(FIRST._replace(number=number)))
            cluster.nodes[1]._wake()
            cluster.run(1)
        self.assertEqual(self.refused(backup), f"{TURNS_MAX} epochs were ended by other members, try again")
        self.assertEqual(self.taken(), [(number, "") for number in range(1, TURNS_MAX + 1)])
        self.assertEqual(self.kept.told, [("prepare", NAME), ("give up",)])

    def test_durable_here_before_it_is_complete(self) -> None:
        """That the epoch is safe does not say so."""
        cluster = self.cluster
        backup = self.backup()
        disk = cluster.disks[0]
        disk.slow = True
        while cluster.epochs()[0] == 0:
            disk.catch_up(sum(write_set.opened is None for write_set, _ in disk.waiting))
            cluster.run(0.0005)
        cluster.run(0.2)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        self.assertNoResult(backup)
        self.assertEqual(self.kept.told, [("prepare", NAME)])
        cluster.disks[0].slow = False
        cluster.disks[0].catch_up()
        cluster.run(0.1)
        self.assertEqual(self.successResultOf(backup), {"name": NAME})

    def test_one_at_a_time(self) -> None:
        backup = self.backup()
        self.assertEqual(self.refused(self.backup()), "the backup one is being made")
        self.cluster.run(0.1)
        self.successResultOf(backup)
        self.backup()

    def test_nothing_is_kept(self) -> None:
        backup = self.cluster.nodes[1].backup(NAME)
        self.assertEqual(self.refused(backup), "with engine = memory nothing is kept that could be backed up")
        self.assertIsNone(self.cluster.nodes[1].backups())
        self.assertIs(self.cluster.nodes[0].backups(), self.kept)

    def test_no_majority(self) -> None:
        """It is given up, and the end that comes later makes no backup."""
        cluster = self.cluster
        cluster.deafen(0)
        backup = self.backup()
        cluster.run(6)
        self.assertIn("no majority of the members has answered within 5 s", self.refused(backup))
        self.assertEqual(self.kept.told, [("prepare", NAME), ("give up",)])
        cluster.cut.clear()
        cluster.run(10)
        self.assertEqual(self.taken(), [(1, "")])

    def test_the_client_leaves(self) -> None:
        backup = self.backup()
        backup.cancel()
        self.failureResultOf(backup, Refusal, CancelledError)
        self.cluster.run(0.2)
        self.assertEqual(self.kept.told, [("prepare", NAME), ("give up",)])
        self.assertEqual(self.taken(), [(1, "")], "the epoch has begun all the same")
        again = self.backup()
        self.cluster.run(0.2)
        self.successResultOf(again)

    def test_the_replica_stops(self) -> None:
        cluster = self.cluster
        cluster.isolate(0)
        cluster.cut.clear()
        backup = self.backup()
        cluster.nodes[0].stop()
        self.assertEqual(self.refused(backup), "the replica is stopping")

    def test_a_replica_that_does_not_run(self) -> None:
        self.cluster.nodes[0].stop()
        self.assertEqual(self.refused(self.backup()), "the replica does not run")

    def test_refused_by_the_store(self) -> None:
        def refuse(name: str) -> Deferred[None]:
            raise Refusal(f"no {name}")

        self.kept.prepare = refuse  # type: ignore[method-assign]
        self.assertEqual(self.refused(self.backup()), "no one")
        self.cluster.run(0.2)
        self.assertEqual(self.taken(), [])


class WeatherTests(SynchronousTestCase):
    """One client writes one key after the other, each at a random node; nodes are cut off, turn, and
    make backups."""

    def start(self, seed: int) -> None:
        self.random = Random(seed)
        self.cluster = TurningCluster()
        self.taken: dict[str, set[bytes]] = {}
        self.acknowledged: set[bytes] = set()
        self.begun: list[bytes] = []
        self.before: dict[str, set[bytes]] = {}
        self.backups: list[tuple[str, Deferred[Any]]] = []
        for id, disk in enumerate(self.cluster.disks):
            disk.backups = Kept()  # type: ignore[assignment]
            self.patch(disk.contents, "apply", partial(self.apply, id, disk.contents.apply))

    def apply(self, id: int, apply: Callable[[WriteSet], None], write_set: WriteSet) -> None:
        """Every write is done at once, so the state is the one that the epoch begins with."""
        apply(write_set)
        if write_set.backup:
            self.taken[write_set.backup] = set(self.cluster.logs[id].texts)

    def step(self) -> None:
        cluster, random = self.cluster, self.random
        what = random.random()
        if what < 0.15:
            name = f"b{len(self.before)}"
            self.before[name] = set(self.acknowledged)
            backup = cluster.nodes[random.randrange(3)].backup(name)
            self.backups.append((name, backup))
        elif what < 0.3:
            cluster.nodes[random.randrange(3)].turn().addErrback(lambda _: None)
        elif what < 0.45:
            cluster.isolate(random.randrange(3))
        elif what < 0.65:
            cluster.cut.clear()
        self.write()

    def write(self) -> None:
        """The next write of the client, at a random node; it goes on elsewhere when there is no answer."""
        key = b"k%d" % len(self.begun)
        self.begun.append(key)
        outcomes = self.cluster.submit(self.random.randrange(3), [key, b"x"])
        for _ in range(20):
            self.cluster.run(self.random.choice((0.001, 0.003, 0.01)))
            if outcomes:
                break
        if outcomes and isinstance(outcomes[0], tuple):
            self.acknowledged.add(key)

    def check(self, name: str) -> None:
        """It holds what was acknowledged before it was asked for, and whatever was acknowledged before
        something else that it holds was begun."""
        taken = self.taken[name]
        self.assertLessEqual(self.before[name], taken)
        newest = max((index for index, key in enumerate(self.begun) if key in taken), default=0)
        self.assertLessEqual(self.acknowledged.intersection(self.begun[:newest]), taken)

    def test_random(self) -> None:
        made = missing = 0
        for seed in range(25):
            self.start(seed)
            for _ in range(40):
                self.step()
            self.cluster.cut.clear()
            self.cluster.run(7)
            for name, backup in self.backups:
                if isinstance(backup.result, dict):
                    self.check(name)
                    made += 1
                    missing += bool(self.acknowledged - self.taken[name])
                backup.addErrback(lambda failure: failure.trap(Refusal))
        self.assertGreater(made, 40)
        self.assertGreater(missing, 20, "most are made while the client goes on")


class GivenUpTests(SynchronousTestCase):
    def test_while_the_beginning_is_not_durable(self) -> None:
        """Nobody waits for the digest any more, so the walk over the whole state ends."""
        turned: Deferred[int] = Deferred()
        cancelled: list[Deferred[str]] = []
        store: Any = SimpleNamespace(backups=Kept())
        backups = Backups(store, lambda: turned, lambda: Deferred(cancelled.append))
        made = backups.ask(NAME, 0, 1)
        self.assertEqual(backups.on_end(0, 2, InstanceId(2, 1)), NAME)
        turned.callback(1)
        made.cancel()
        self.assertEqual(str(self.failureResultOf(made, Refusal).value), "the client has left")
        self.assertEqual(len(cancelled), 1)
