"""The turn of a node: what arrives, and what stops a replica."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import CommandError, IClients, Unavailable
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Batch,
    Commit,
    Heartbeat,
    Phase,
    PreAcceptOK,
    RecoverOK,
)
from tests.builds import plain_only
from tests.defaults import default_batching
from tests.node.lab import Cluster


class ClientsTests(SynchronousTestCase):
    def test_interface(self) -> None:
        verifyObject(IClients, Cluster().nodes[0])

    def test_check(self) -> None:
        self.assertRaises(CommandError, Cluster().nodes[0].check, [b"one"])


class FailureTests(SynchronousTestCase):
    def test_a_batch_that_cannot_be_understood_stops_the_replica(self) -> None:
        cluster = Cluster().start()
        poison = Batch((b"k",), (), b"poison", 1)
        waiting = cluster.submit(0, [b"other", b"x"])
        cluster.arrive(1, 0, Commit(InstanceId(1, 1), 0, poison, (0, 0, 0)))
        cluster.clock.advance(0)
        self.assertEqual(cluster.fatal, ["a committed batch cannot be applied: poison"])
        self.assertIsInstance(waiting[0], Unavailable)
        cluster.run(1)
        self.assertEqual(len(cluster.fatal), 1)

    @plain_only
    def test_an_own_bug_stops_the_replica(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0]._core.receive = lambda sender, message: 1 // 0  # type: ignore[assignment]
        cluster.arrive(1, 0, Commit(InstanceId(1, 1), 0, NOP, (0, 0, 0)))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(cluster.fatal, ["internal error, see the log"])

    @plain_only
    def test_a_bug_outside_of_a_turn_stops_the_replica_too(self) -> None:
        """Otherwise the replica would go on without checkpoints, or without its timer."""
        for what in ("_checkpoints.take", "_core.on_executed", "_core.next_deadline"):
            cluster = Cluster(default_batching(checkpoint_s=0.5)).start()
            owner: Any = cluster.nodes[0]
            *path, name = what.split(".")
            for part in path:
                owner = getattr(owner, part)
            setattr(owner, name, lambda *_: 1 // 0)
            cluster.submit(0, [b"k", b"a"])
            cluster.run(2)
            self.assertEqual(cluster.fatal[:1], ["internal error, see the log"], what)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1, what)

    @plain_only
    def test_it_stops_also_when_the_clients_cannot_be_told(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0]._refusals.refuse_all = lambda text: 1 // 0  # type: ignore[method-assign,assignment]
        with self.assertRaises(ZeroDivisionError):
            cluster.nodes[0].fail("the disk is full")
        self.assertEqual(cluster.fatal, ["the disk is full"])

    @plain_only
    def test_it_stops_before_it_logs_a_bug(self) -> None:
        """It stops first, because the log may be a pipe that nobody reads."""
        cluster = Cluster().start()
        cluster.nodes[0]._core.receive = lambda sender, message: 1 // 0  # type: ignore[assignment]
        fatal_then: list[list[str]] = []

        def observer(event: dict[str, Any]) -> None:
            if "internal error" in str(event.get("log_format")):
                fatal_then.append(list(cluster.fatal))

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        cluster.arrive(1, 0, Commit(InstanceId(1, 1), 0, NOP, (0, 0, 0)))
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(fatal_then, [["internal error, see the log"]])


class ConnectionTests(SynchronousTestCase):
    """Lost and new connections reach the core, and the node acts at once."""

    def up(self, cluster: Cluster) -> list[bool]:
        status: dict[str, Any] = self.successResultOf(cluster.nodes[0].status())
        return [member["up"] for member in status["members"]]

    def test_lost_and_back(self) -> None:
        cluster = Cluster().start()
        cluster.run(1.5)
        cluster.wires[0].connection(2, False)
        self.assertEqual(self.up(cluster), [True, True, False])
        cluster.wires[0].connection(2, True)
        self.assertEqual(self.up(cluster), [True] * 3)

    def test_what_the_lost_one_has_left_is_decided(self) -> None:
        """The survivors need no heartbeat and no timer for that."""
        cluster = Cluster().start()
        cluster.run(1.5)
        cluster.held = {PreAcceptOK}
        cluster.submit(2, [b"k", b"a"])
        cluster.run(0.01)
        cluster.isolate(2)
        for survivor in (0, 1):
            cluster.wires[survivor].connection(2, False)
        cluster.run(0.05)
        for survivor in (0, 1):
            status = self.successResultOf(cluster.nodes[survivor].status())
            self.assertEqual(status["executed"], [0, 0, 1])

    @plain_only
    def test_an_own_bug_stops_the_replica(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0]._core.on_disconnected = lambda replica: 1 // 0  # type: ignore[assignment]
        cluster.wires[0].connection(2, False)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(cluster.fatal, ["internal error, see the log"])
        cluster.wires[0].connection(2, False)


class DoubledTests(SynchronousTestCase):
    """A replica that shares its id with another process stops with one clear line, not as a bug."""

    def test_a_claim_of_others(self) -> None:
        cluster = Cluster().start()
        cluster.arrive(1, 0, Heartbeat((900, 0, 0), (0, 0, 0)))
        cluster.run(0.01)
        self.assertEqual(len(cluster.fatal), 1)
        self.assertIn("replica 1 holds slot 900 of the row of replica 0", cluster.fatal[0])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_another_batch(self) -> None:
        """The replica stops also when it finds out only as its own promise becomes durable."""
        for late in (False, True):
            cluster = Cluster().start()
            cluster.isolate(0)
            cluster.submit(0, [b"k", b"x"])
            cluster.run(0.01)
            other = cluster.logs[0].batch([[b"k", b"other"]])
            id = InstanceId(0, 1)
            if late:
                cluster.disks[0].slow = True
                cluster.nodes[0]._core._recoveries.start(id)
                cluster.run(0.001)
                ballot = cluster.nodes[0]._core.table.get(id).bal
                vote = RecoverOK(id, ballot, 1, Phase.ACCEPTED, other, (0, 0, 0), None)
                cluster.arrive(1, 0, vote)
                cluster.run(0.001)
                self.assertEqual(cluster.fatal, [])
                cluster.disks[0].catch_up()
            else:
                cluster.arrive(1, 0, Commit(id, 0, other, (0, 0, 0)))
            cluster.run(0.01)
            self.assertEqual(len(cluster.fatal), 1, late)
            self.assertIn("did not propose", cluster.fatal[0])
            self.assertEqual(self.flushLoggedErrors(), [])
