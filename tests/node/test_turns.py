"""Turns of the epoch in whole nodes: what is void, what counts no more, and what is written."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import IStore, ITransport, Refusal
from epaxos.protocol.values.messages import AcceptOK, Commit, Heartbeat, PreAccept, PreAcceptOK
from tests.node.turning import FIRST, TurningCluster

NOTHING = (0, 0, 0)


class TurnsCase(SynchronousTestCase):
    def make(self, **batching: object) -> TurningCluster:
        cluster = self.cluster = TurningCluster(**batching)
        self.addCleanup(lambda: self.assertEqual(cluster.fatal, []))
        return cluster

    def turn(self, id: int = 0, seconds: float = 0.1) -> int:
        turned = self.cluster.nodes[id].turn()
        self.cluster.run(seconds)
        return self.successResultOf(turned)

    def refused(self, turned: Deferred[int]) -> str:
        return str(self.failureResultOf(turned, Refusal).value)

    def payloads(self, id: int, epoch: int) -> list[bytes]:
        """What `id` has proposed in the epoch, each instance once, in the order of the slots."""
        sent = self.cluster.sent(id, PreAccept)
        found = {message.id: message.batch.payload for number, message in sent if number == epoch}
        return [found[instance] for instance in sorted(found) if instance.replica == id]


class PlainTests(TurnsCase):
    def test_interfaces(self) -> None:
        cluster = self.make()
        verifyObject(IStore, cluster.disks[0])
        verifyObject(ITransport, cluster.wires[0])

    def test_three_turns(self) -> None:
        cluster = self.make()
        for number in (1, 2, 3):
            outcomes = cluster.submit(number % 3, [b"k", b"%d" % number])
            cluster.run(0.05)
            self.assertEqual(len(outcomes), 1)
            self.assertEqual(self.turn(number % 3), number)
            self.assertEqual(cluster.epochs(), [number] * 3)
            cluster.run(1)
            self.assertTrue(all(cluster.epoch(id)["settled"] for id in range(3)))
        self.assertEqual(cluster.texts(), [{b"k": b"123"}] * 3)
        for id in range(3):
            self.assertEqual(cluster.disks[id].contents.closed, {}, "nobody needs them any more")
            self.assertEqual(cluster.wires[id].known_numbers(), [1, 2, 3])

    def test_how_long_it_takes(self) -> None:
        """A round trip for the end, one message that tells it, and one that tells who has followed."""
        cluster = self.make()
        turned = cluster.nodes[0].turn()
        cluster.run(0.01)
        self.assertEqual(self.successResultOf(turned), 1)
        self.assertEqual(cluster.epochs(), [1, 1, 1])

    def test_the_state_machine_sees_nothing_of_it(self) -> None:
        cluster = self.make()
        cluster.submit(0, [b"k", b"a"])
        cluster.run(0.05)
        self.turn()
        self.assertEqual([log.batches for log in cluster.logs], [[[b"k a"]]] * 3)

    def test_two_operators_at_the_same_time(self) -> None:
        """At two replicas: one proposal ends the epoch, the other one is void, and both are answered."""
        cluster = self.make()
        turned = [cluster.nodes[id].turn() for id in (0, 2)]
        cluster.run(1)
        self.assertEqual([self.successResultOf(each) for each in turned], [1, 1])
        self.assertEqual(cluster.epochs(), [1, 1, 1])

    def test_refused_while_one_has_not_followed(self) -> None:
        cluster = self.make()
        cluster.isolate(2)
        self.assertEqual(self.turn(), 1)
        cluster.isolate(1)
        cluster.run(1)
        text = self.refused(cluster.nodes[0].turn())
        self.assertEqual(text, "no majority of the members is connected")
        self.assertEqual(cluster.epochs(), [1, 1, 0])
        cluster.cut.clear()
        cluster.run(3)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        self.assertEqual(self.turn(), 2)

    def test_no_majority(self) -> None:
        """The operator is told after the time-out; the epoch begins once the others are back."""
        cluster = self.make(request_timeout_s=1.0)
        cluster.deafen(0)
        turned = cluster.nodes[0].turn()
        cluster.run(1.1)
        self.assertEqual(
            self.refused(turned),
            "no majority of the members has answered within 1 s; the next epoch may still begin",
        )
        cluster.cut.clear()
        cluster.run(5)
        self.assertEqual(cluster.epochs(), [1, 1, 1])

    def test_a_node_that_stops(self) -> None:
        cluster = self.make()
        cluster.deafen(0)
        turned = cluster.nodes[0].turn()
        cluster.nodes[0].stop()
        self.assertEqual(self.refused(turned), "the replica is stopping")


class VoidTests(TurnsCase):
    """Replica 1 works on in an epoch that the others have left."""

    def behind(self, **batching: object) -> TurningCluster:
        cluster = self.make(**batching)
        cluster.deafen(1)
        self.turn()
        self.assertEqual(cluster.epochs(), [1, 0, 1])
        return cluster

    def heal(self) -> None:
        self.cluster.cut.clear()
        self.cluster.run(2)
        self.assertEqual(self.cluster.epochs(), [1, 1, 1])

    def test_proposed_again_once_and_in_order(self) -> None:
        cluster = self.behind(commands_max=1)
        texts = [b"%c" % number for number in b"abcdefgh"]
        outcomes = [cluster.submit(1, [b"k", text]) for text in texts]
        cluster.run(0.2)
        self.assertEqual(outcomes, [[]] * 8)
        proposed = self.payloads(1, 0)
        self.assertGreater(len(proposed), 1, "several are void")
        self.heal()
        self.assertEqual(cluster.texts(), [{b"k": b"abcdefgh"}] * 3)
        self.assertEqual(self.payloads(1, 1), [b"k " + text for text in texts])
        self.assertEqual(outcomes, [[(b"abcdefgh"[: count + 1],)] for count in range(8)])

    def test_reads_of_the_same_client_stay_behind_its_writes(self) -> None:
        """And before those that it sent later."""
        cluster = self.behind(commands_max=1)
        steps = [
            cluster.submit(1, command)
            for command in (
                [b"?", b"k"],
                [b"k", b"a"],
                [b"?", b"k"],
                [b"k", b"b"],
                [b"j", b"x"],
                [b"?", b"k"],
                [b"?", b"j"],
            )
        ]
        cluster.run(0.2)
        self.assertEqual(steps, [[]] * 7)
        self.heal()
        self.assertEqual(steps, [[(reply,)] for reply in (None, b"a", b"a", b"ab", b"x", b"ab", b"x")])
        self.assertEqual(cluster.texts(), [{b"k": b"ab", b"j": b"x"}] * 3)

    def test_what_is_sent_together_is_answered_together(self) -> None:
        cluster = self.behind()
        outcomes = cluster.submit(1, [b"?", b"k"], [b"k", b"a"], [b"?", b"k"], [b"?", b"j"])
        cluster.run(0.2)
        self.heal()
        self.assertEqual(outcomes, [(None, b"a", b"a", None)])
        self.assertEqual(cluster.texts(), [{b"k": b"a"}] * 3)

    def test_what_waits_comes_last(self) -> None:
        """What was void, then what waited for the window meanwhile, then what comes now."""
        cluster = self.behind(commands_max=1, window=2)
        for text in b"abcde":
            cluster.submit(1, [b"k", b"%c" % text])
        cluster.run(0.2)
        self.assertEqual(len(self.payloads(1, 0)), 2)
        cluster.cut.clear()
        cluster.submit(1, [b"k", b"f"])
        cluster.run(2)
        self.assertEqual(cluster.texts(), [{b"k": b"abcdef"}] * 3)

    def test_nobody_waits_for_it_any_more(self) -> None:
        """A client was told that nobody knows what became of its command: it must not run twice, and a read
        is given up."""
        cluster = self.behind(request_timeout_s=0.5)
        write, read = cluster.submit(1, [b"k", b"a"]), cluster.submit(1, [b"?", b"k"])
        cluster.run(0.6)
        self.assertEqual((len(write), len(read)), (1, 1))
        self.heal()
        self.assertEqual((len(write), len(read)), (1, 1))
        self.assertEqual(self.payloads(1, 1), [])
        self.assertEqual(cluster.texts(), [{}] * 3)

    def test_committed_and_void(self) -> None:
        """A batch that is decided in the old epoch, behind the instance that ends it."""
        cluster = self.make()
        cluster.held = {PreAcceptOK, AcceptOK}
        cluster.cut = {(0, 1)}
        turned = cluster.nodes[0].turn()
        cluster.run(0.01)
        outcomes = cluster.submit(1, [b"k", b"a"])
        cluster.run(0.01)
        cluster.cut.clear()
        cluster.release()
        cluster.run(2)
        self.assertEqual(self.successResultOf(turned), 1)
        commits = [message for epoch, message in cluster.sent(1, Commit) if epoch == 0]
        decided = [message for message in commits if message.id.replica == 1]
        self.assertTrue(decided, "it was decided in epoch 0")
        self.assertGreater(decided[0].deps[0], 0, "behind the end")
        self.assertEqual(self.payloads(1, 1), [b"k a"])
        self.assertEqual(outcomes, [(b"a",)])
        self.assertEqual(cluster.texts(), [{b"k": b"a"}] * 3)

    def test_held_back_while_the_end_is_near(self) -> None:
        """What comes while an instance is known that may end the epoch is proposed in the next one."""
        cluster = self.make()
        cluster.held = {PreAcceptOK}
        cluster.nodes[0].turn()
        cluster.run(0.01)
        outcomes = [cluster.submit(id, [b"k%d" % id, b"a"]) for id in range(3)]
        cluster.run(0.1)
        self.assertEqual([self.payloads(id, 0)[1:] for id in (0, 1, 2)], [[]] * 3)
        cluster.release()
        cluster.run(0.5)
        self.assertEqual(outcomes, [[(b"a",)]] * 3)
        self.assertEqual([self.payloads(id, 1) for id in (0, 1, 2)], [[b"k%d a" % id] for id in range(3)])

    def test_reads_while_the_end_is_near(self) -> None:
        """They are answered in the old epoch, at the replica that proposed its end, too."""
        cluster = self.make()
        cluster.submit(1, [b"k", b"a"])
        cluster.run(0.05)
        cluster.held = {PreAcceptOK}
        cluster.nodes[0].turn()
        cluster.run(0.01)
        write = cluster.submit(1, [b"j", b"x"])
        reads = [cluster.submit(id, [b"?", b"k"]) for id in range(3)]
        behind = cluster.submit(1, [b"?", b"j"])
        cluster.run(0.05)
        self.assertEqual(reads, [[(b"a",)]] * 3)
        self.assertEqual((write, behind, cluster.epochs()), ([], [], [0, 0, 0]))
        cluster.release()
        cluster.run(0.5)
        self.assertEqual((write, behind, cluster.epochs()), ([(b"x",)], [(b"x",)], [1, 1, 1]))


class OldEpochTests(TurnsCase):
    """What becomes durable after the end counts nowhere."""

    def test_a_promise(self) -> None:
        cluster = self.make()
        cluster.disks[2].slow = True
        self.turn()
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        synced = [write for write, _ in cluster.disks[2].waiting if write.sync and write.opened is None]
        self.assertTrue(synced, "a promise of epoch 0 waits")
        cluster.disks[2].slow = False
        cluster.disks[2].catch_up()
        cluster.run(0.1)
        self.assertEqual(cluster.sent(2, PreAcceptOK), [])

    def test_the_disk_is_not_taken_for_hanging(self) -> None:
        cluster = self.make()
        cluster.disks[2].slow = True
        self.turn()
        cluster.disks[2].slow = False
        cluster.disks[2].catch_up()
        cluster.run(5)
        outcomes = cluster.submit(2, [b"k", b"a"])
        cluster.run(0.1)
        self.assertEqual(outcomes, [(b"a",)])

    def test_an_own_promise(self) -> None:
        """The leader's own vote of the old epoch is no vote in the new one."""
        cluster = self.make()
        cluster.deafen(1)
        self.turn()
        cluster.disks[1].slow = True
        outcomes = cluster.submit(1, [b"k", b"a"])
        cluster.run(0.05)
        cluster.cut.clear()
        cluster.run(0.7)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        self.assertEqual(outcomes, [], "nothing of the new epoch is durable")
        cluster.disks[1].slow = False
        cluster.disks[1].catch_up()
        cluster.run(1)
        self.assertEqual(outcomes, [(b"a",)])
        self.assertEqual(cluster.texts(), [{b"k": b"a"}] * 3)

    def test_a_checkpoint(self) -> None:
        """It tells the others of no slot of the new epoch, and its own checkpoints go on."""
        cluster = self.make(checkpoint_s=0.3)
        for text in b"abc":
            cluster.submit(1, [b"k", b"%c" % text])
            cluster.run(0.01)
        cluster.disks[2].slow = True
        cluster.run(0.4)
        waiting = [write.checkpoint.executed for write, _ in cluster.disks[2].waiting if write.checkpoint]
        self.assertEqual(waiting, [(0, 3, 0)])
        self.turn()
        cluster.disks[2].slow = False
        cluster.disks[2].catch_up()
        cluster.run(0.5)
        told = [message for epoch, message in cluster.sent(2, Heartbeat) if epoch == 1]
        self.assertTrue(told)
        self.assertEqual({message.executed for message in told}, {NOTHING})
        cluster.submit(1, [b"k", b"d"])
        cluster.run(1)
        newest = [write for write in cluster.disks[2].writes if write.checkpoint is not None][-1]
        assert newest.checkpoint is not None
        self.assertEqual((newest.epoch, newest.checkpoint.executed), (1, (0, 1, 0)))
        told = [message for epoch, message in cluster.sent(2, Heartbeat) if epoch == 1]
        self.assertEqual(told[-1].executed, (0, 1, 0))

    def test_others_rely_on_nothing_before_it_is_durable(self) -> None:
        """The operator hears of it after a majority has written how it begins."""
        cluster = self.make()
        cluster.submit(1, [b"k", b"a"])
        cluster.run(0.05)
        for id in (1, 2):
            cluster.disks[id].slow = True
        turned = cluster.nodes[0].turn()
        cluster.run(0.05)
        for id in (1, 2):  # their votes, and not what follows from them
            while cluster.disks[id].waiting and cluster.disks[id].waiting[0][0].opened is None:
                cluster.disks[id].catch_up(1)
        cluster.run(0.05)
        for id in (1, 2):
            while cluster.disks[id].waiting and cluster.disks[id].waiting[0][0].opened is None:
                cluster.disks[id].catch_up(1)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        self.assertNoResult(turned)
        cluster.disks[2].catch_up()
        cluster.run(0.01)
        self.assertEqual(self.successResultOf(turned), 1)
        self.assertFalse(cluster.epoch(0)["settled"])
        cluster.disks[1].catch_up()
        cluster.run(0.01)
        self.assertTrue(cluster.epoch(0)["settled"])


class WrittenTests(TurnsCase):
    def test_one_write_set(self) -> None:
        """The beginning of the epoch and the last state of the one before are durable together."""
        cluster = self.make(checkpoint_s=60.0)
        for text in b"ab":
            cluster.submit(1, [b"k", b"%c" % text])
            cluster.run(0.05)
        self.turn()
        cluster.submit(1, [b"k", b"c"])
        cluster.run(0.05)
        for id in range(3):
            (opening,) = cluster.openings(id)
            assert opening.opened is not None and opening.checkpoint is not None
            self.assertEqual((opening.epoch, opening.sync), (1, True))
            self.assertEqual(opening.opened.membership, FIRST.successor("turn, by replica 0"))
            self.assertEqual(opening.opened.previous, FIRST)
            self.assertEqual(opening.opened.opened_by.replica, 0)
            self.assertEqual((opening.checkpoint.executed, opening.checkpoint.beyond), (NOTHING, ()))
            payloads = [batch.payload for _, batch in opening.checkpoint.batches if batch.successor is None]
            self.assertEqual(payloads, [b"k a", b"k b"], "what no checkpoint had, and nothing else")
            self.assertEqual((opening.batches, opening.records, opening.dropped), ([], [], []))
            at = cluster.disks[id].writes.index(opening)
            self.assertEqual({write.epoch for write in cluster.disks[id].writes[:at]}, {0})
            later = [write for write in cluster.disks[id].writes[at:] if write.epoch == 0]
            self.assertTrue(all(write.dropped and not write.records for write in later), "only deletions")

    def test_a_clean_stop(self) -> None:
        """It writes the present epoch, and the next process goes on there."""
        cluster = self.make(checkpoint_s=60.0)
        cluster.submit(1, [b"k", b"a"])
        cluster.run(0.05)
        self.turn()
        cluster.submit(2, [b"k", b"b"])
        cluster.run(0.05)
        self.successResultOf(cluster.nodes[2].stop())
        last = cluster.disks[2].writes[-1]
        assert last.checkpoint is not None
        self.assertEqual((last.epoch, last.reserved, last.sync), (1, 1, True))
        self.assertEqual(last.checkpoint.executed, (0, 0, 1))
        payloads = [batch.payload for _, batch in last.checkpoint.batches if batch.successor is None]
        self.assertEqual(payloads, [b"k b"])
        cluster.restart(2)
        cluster.run(1)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        self.assertTrue(cluster.epoch(2)["settled"])
        outcomes = cluster.submit(2, [b"k", b"c"])
        cluster.run(0.5)
        self.assertEqual(outcomes, [(b"abc",)])
        self.assertEqual(cluster.texts(), [{b"k": b"abc"}] * 3)

    def test_killed_before_the_beginning_is_durable(self) -> None:
        """It starts in the old epoch, and finds its end in what the others keep."""
        cluster = self.make()
        cluster.submit(1, [b"k", b"a"])
        cluster.run(0.05)
        cluster.disks[2].slow = True
        self.turn()
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        cluster.submit(1, [b"k", b"b"])
        cluster.run(0.2)
        cluster.kill(2)
        self.assertIsNone(cluster.disks[2].contents.opened)
        cluster.run(3)
        self.assertNotEqual(cluster.disks[0].contents.closed, {}, "it is needed")
        cluster.restart(2)
        self.assertEqual(cluster.epoch(2)["number"], 0)
        cluster.run(5)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        self.assertEqual(cluster.texts(), [{b"k": b"ab"}] * 3)
        cluster.run(1)
        self.assertEqual(cluster.disks[0].contents.closed, {})

    def test_killed_after_the_beginning_is_durable(self) -> None:
        cluster = self.make()
        cluster.submit(1, [b"k", b"a"])
        cluster.run(0.05)
        self.turn()
        cluster.kill(2)
        cluster.submit(1, [b"k", b"b"])
        cluster.run(0.5)
        cluster.restart(2)
        self.assertEqual(cluster.epoch(2)["number"], 1)
        cluster.run(3)
        self.assertEqual(cluster.texts(), [{b"k": b"ab"}] * 3)
        self.assertEqual(self.turn(2), 2)
