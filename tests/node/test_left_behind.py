"""Members that are away for several epochs, in whole nodes: they take the state of another one and go on."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from epaxos.interfaces import IStateTransfer, Outcome, Unavailable
from epaxos.node.limits import Keep
from epaxos.protocol.values.control import EpochIs
from epaxos.protocol.values.messages import Heartbeat
from epaxos.protocol.values.transfer import Piece
from tests.node.test_turns import TurnsCase
from tests.node.turning import FIRST, TurningCluster


class LeftBehindTests(TurnsCase):
    def write(self, id: int, *values: bytes) -> None:
        for value in values:
            outcomes = self.cluster.submit(id, [b"k", value])
            self.cluster.run(0.1)
            self.assertEqual(len(outcomes), 1)
            self.assertNotIsInstance(outcomes[0], Unavailable)

    def leave_behind(self, turns: int = 2) -> TurningCluster:
        """Replica 2 is away while the others write, and go through some turns."""
        cluster = self.make()
        verifyObject(IStateTransfer, cluster.disks[0].transfer)
        self.write(2, b"a")
        cluster.isolate(2)
        cluster.run(3)
        for turn in range(turns):
            self.write(turn % 2, b"%d" % turn)
            self.assertEqual(self.turn(turn % 2), turn + 1)
        return cluster

    def installed(self, id: int) -> list[int]:
        """The epochs of the states that the replica has installed."""
        return [offer.membership.number for offer in self.cluster.disks[id].transfer.installed]

    def refusals(self, outcomes: list[Outcome]) -> list[tuple[str, bool]]:
        """The text of each, and whether the command may have run."""
        return [(str(each), each.may_have_run) for each in outcomes if isinstance(each, Unavailable)]

    def test_one_epoch(self) -> None:
        """The others still hold what it missed."""
        cluster = self.leave_behind(1)
        cluster.cut.clear()
        cluster.run(3)
        self.assertEqual(cluster.texts(), [{b"k": b"a0"}] * 3)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        self.assertEqual(self.installed(2), [])

    def test_several_epochs(self) -> None:
        for turns in (2, 3, 5):
            cluster = self.leave_behind(turns)
            self.assertEqual(cluster.epochs(), [turns, turns, 0])
            cluster.cut.clear()
            cluster.run(5)
            self.assertEqual(self.installed(2), [turns])
            self.assertEqual(cluster.epochs(), [turns] * 3)
            self.assertEqual(len({log.texts[b"k"] for log in cluster.logs}), 1)
            self.write(2, b"z")
            cluster.run(1)
            self.assertEqual([log.texts[b"k"][-1:] for log in cluster.logs], [b"z"] * 3)
            self.assertTrue(all(cluster.epoch(id)["settled"] for id in range(3)))
            self.assertEqual(self.turn(2), turns + 1)

    def test_what_came_after_the_state(self) -> None:
        """It is fetched, and run behind the state."""
        cluster = self.leave_behind()
        self.write(0, b"x", b"y")
        cluster.cut.clear()
        cluster.run(5)
        self.assertEqual(cluster.texts(), [{b"k": b"a01xy"}] * 3)
        self.assertEqual(self.installed(2), [2])

    def test_after_a_restart(self) -> None:
        """A process that starts on an old folder does the same."""
        cluster = self.leave_behind()
        cluster.kill(2)
        cluster.cut.clear()
        cluster.restart(2)
        cluster.run(5)
        self.assertEqual(cluster.texts(), [{b"k": b"a01"}] * 3)
        cluster.kill(2)
        cluster.restart(2)
        cluster.run(2)
        self.assertEqual(cluster.texts()[2], {b"k": b"a01"})
        self.assertEqual(self.installed(2), [2], "once is enough")

    def test_one_source_is_enough(self) -> None:
        """Of the others one is down: the two that are left go on."""
        cluster = self.leave_behind()
        cluster.kill(0)
        cluster.cut.clear()
        cluster.run(10)
        self.assertEqual(cluster.texts()[1:], [{b"k": b"a01"}] * 2)
        self.write(2, b"z")
        self.assertEqual(self.turn(2), 3)

    def test_its_clients(self) -> None:
        """What had begun may have run; what comes while it takes the state was not run."""
        cluster = self.leave_behind()
        begun = cluster.submit(2, [b"k", b"lost"])
        cluster.run(0.5)
        cluster.lost = {Piece}
        cluster.cut.clear()
        cluster.run(1)
        late = cluster.submit(2, [b"k", b"late"])
        cluster.run(0.1)
        self.assertEqual(
            self.refusals(late),
            [
                (
                    "CLUSTERDOWN the replica was away for too long, and takes the state of another one;"
                    " the command was not run",
                    False,
                )
            ],
        )
        self.assertEqual(begun, [])
        behind = cluster.epoch(2)["behind"]
        self.assertEqual((behind["epoch"], behind["taken_bytes"]), (2, 0))
        self.assertGreater(behind["bytes"], 0)
        cluster.lost = set()
        cluster.run(5)
        text = "CLUSTERDOWN the replica takes the state of another one; the command may still run"
        self.assertEqual(self.refusals(begun), [(text, True)])
        self.assertIsNone(cluster.epoch(2)["behind"])
        self.assertEqual(cluster.texts(), [{b"k": b"a01"}] * 3)

    def test_it_claims_only_what_it_holds(self) -> None:
        """The instances that the state has in it are not held: nobody is told that they are."""
        cluster = self.leave_behind()
        self.write(0, b"x", b"y")
        cluster.nodes[0].stop()  # with a checkpoint of the last state
        cluster.restart(0)
        cluster.run(1)
        cluster.isolate(1)
        cluster.cut -= {(0, 2), (2, 0)}
        cluster.run(10)
        self.assertEqual(self.installed(2), [2])
        found: list[dict[str, object]] = []
        cluster.nodes[2].status().addCallback(found.append)
        executed = tuple(found[0]["executed"])  # type: ignore[arg-type]
        self.assertGreater(sum(executed), 0)
        claims = [beat.committed for epoch, beat in cluster.sent(2, Heartbeat) if epoch == 2]
        self.assertTrue(claims)
        self.assertEqual(set(claims), {(0, 0, 0)})
        cluster.cut.clear()
        cluster.run(10)
        late = [beat.committed for epoch, beat in cluster.sent(2, Heartbeat) if epoch == 2]
        self.assertGreaterEqual(late[-1], executed, "once all have run them, they are forgotten")

    def test_it_closes_an_epoch_of_which_it_does_not_hold_all(self) -> None:
        """Who is behind takes the state from it, as it cannot fetch."""
        cluster = self.leave_behind()
        self.write(0, b"x", b"y")
        cluster.nodes[0].stop()
        cluster.restart(0)
        cluster.run(1)
        cluster.isolate(1)  # in epoch 2, with a part of it
        cluster.cut -= {(0, 2), (2, 0)}
        cluster.run(10)
        self.assertEqual(self.turn(0), 3)
        cluster.kill(0)
        cluster.cut.clear()
        cluster.run(10)
        self.assertEqual(cluster.epochs()[1:], [3, 3])
        self.assertEqual(self.installed(1), [3])
        self.write(1, b"z")
        cluster.run(1)
        self.assertEqual(cluster.texts()[1:], [{b"k": b"a01xyz"}] * 2)


class ReachedTests(TurnsCase):
    def test_a_state_of_the_epoch_in_which_it_votes(self) -> None:
        """It was taken when this replica was not there yet.  Its promises would be lost."""
        cluster = self.make()
        cluster.isolate(2)
        self.turn()
        cluster.run(1)
        cluster.isolate(1)  # in epoch 1
        cluster.restart(2)
        cluster.lost = {Piece}
        cluster.wires[2].on_control(0, EpochIs(FIRST._replace(number=2)))  # type: ignore[misc]
        self.assertIsNotNone(cluster.epoch(2)["behind"])
        cluster.cut.clear()
        cluster.run(0.3)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        cluster.lost = set()
        cluster.run(20)
        self.assertIsNone(cluster.epoch(2)["behind"])
        self.assertEqual(cluster.disks[2].transfer.installed, [])
        self.assertEqual(self.turn(2), 2)


class BoundTests(TurnsCase):
    def test_a_dead_member_costs_a_bounded_amount(self) -> None:
        cluster = self.cluster = TurningCluster(Keep(200, 1 << 30), checkpoint_s=0.5)
        self.addCleanup(lambda: self.assertEqual(cluster.fatal, []))
        cluster.kill(2)
        most = 0
        for number in range(2500):
            cluster.submit(number % 2, [b"k%d" % (number % 7), b"."])
            cluster.run(0.015)
            if number % 50 == 0:
                most = max(most, cluster.nodes[0]._core.holding.instances)
        self.assertGreaterEqual(min(cluster.epochs()[:2]), 2)
        self.assertLess(most, 200 + 15 / 0.015, "the bound, and what comes until the next turn is allowed")
        self.assertLessEqual(len(cluster.disks[0].contents.closed), 1)
        cluster.restart(2)
        cluster.run(10)
        self.assertEqual(len(set(cluster.epochs())), 1)
        self.assertEqual(cluster.texts()[2], cluster.texts()[0])
