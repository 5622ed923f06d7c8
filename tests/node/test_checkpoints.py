"""When a checkpoint is written, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Restored, Unavailable
from epaxos.node import checkpoints
from epaxos.node.applier import EXECUTE_S
from epaxos.protocol.values.ids import InstanceId
from tests.defaults import default_batching
from tests.node.lab import Cluster, Disk, Log
from tests.node.steps import LONG, StepLog, SteppedCase, WatchedLog


class CheckpointTests(SynchronousTestCase):
    def test_checkpoints_free_what_everybody_has(self) -> None:
        cluster = Cluster(default_batching(checkpoint_s=0.5)).start()
        for k in range(20):
            cluster.submit(k % 3, [b"k", b"x"])
            cluster.run(0.01)
        self.assertGreater(len(cluster.nodes[0]._core.table), 0)
        cluster.run(2)
        for node, disk in zip(cluster.nodes, cluster.disks):
            self.assertEqual(len(node._core.table), 0)
            last = disk.checkpoints()[-1]
            self.assertEqual(last.executed, node._executor.executed)
            dropped = {id for written in disk.written for id in written.dropped}
            self.assertEqual(dropped, {record.id for w in disk.written for record in w.records})
        count = len(cluster.disks[0].checkpoints())
        cluster.run(3)
        self.assertEqual(len(cluster.disks[0].checkpoints()), count, "nothing changed: nothing to write")

    def test_many_commands_do_not_wait_for_the_next_checkpoint(self) -> None:
        """All replicas forget them long before the timer fires."""
        self.patch(checkpoints, "CHECKPOINT_COMMANDS", 10)
        cluster = Cluster(default_batching(checkpoint_s=3600)).start()
        for k in range(9):
            cluster.submit(k % 3, [b"k", b"x"])
            cluster.run(0.01)
        self.assertEqual(cluster.disks[0].checkpoints(), [])
        cluster.submit(0, [b"k", b"x"])
        cluster.run(0.05)
        for node, disk in zip(cluster.nodes, cluster.disks):
            self.assertEqual(len(disk.checkpoints()), 1)
            self.assertEqual(len(node._core.table), 0)

    def test_where_a_checkpoint_costs_nothing_it_comes_sooner(self) -> None:
        self.patch(checkpoints, "CHECKPOINT_COMMANDS_IN_MEMORY", 2)
        self.patch(Disk, "persistent", False)
        cluster = Cluster(default_batching(checkpoint_s=3600)).start()
        cluster.submit(0, [b"k", b"x"])
        cluster.run(0.05)
        self.assertEqual((cluster.disks[0].checkpoints(), len(cluster.nodes[0]._core.table)), ([], 1))
        cluster.submit(1, [b"k", b"x"])
        cluster.run(0.05)
        for node, disk in zip(cluster.nodes, cluster.disks):
            self.assertEqual((len(disk.checkpoints()), len(node._core.table)), (1, 0))
            self.assertEqual(
                (disk.batches(), node._checkpoints._applied),
                ([[]], []),
                "of no use to it",
            )

    def test_checkpoints_bring_what_was_executed(self) -> None:
        """Each batch of every replica is in one checkpoint, in order; a stop brings the rest."""
        cluster = Cluster(default_batching(checkpoint_s=0.5)).start()
        for step, text in enumerate((b"a", b"b", b"c", b"d", b"e")):
            cluster.submit(step % 3, [b"k", text])
            cluster.run(0.02)
            if text == b"c":
                cluster.run(1)
        self.successResultOf(cluster.nodes[0].stop())
        cluster.run(1)
        for disk, log in zip(cluster.disks, cluster.logs):
            self.assertEqual(disk.batches(), [[b"k a", b"k b", b"k c"], [b"k d", b"k e"]])
            ids = [[id for id, _ in each.batches] for each in disk.checkpoints()]
            self.assertEqual(ids, [[(0, 1), (1, 1), (2, 1)], [(0, 2), (1, 2)]])
            self.assertEqual([each.executed for each in disk.checkpoints()], [(1, 1, 1), (2, 2, 1)])
            self.assertEqual(log.texts, {b"k": b"abcde"})

    def test_what_only_reads_is_not_in_a_checkpoint(self) -> None:
        """Barriers are, because nobody knows what they do, and batches that read and write."""
        cluster = Cluster(default_batching(checkpoint_s=0.5)).start()
        for commands in ([[b"k", b"?"]], [[b"k", b"!"]], [[b"j", b"?"], [b"k", b"a"]], [[b"j", b"?"]]):
            cluster.submit(0, *commands)
            cluster.run(0.02)
        cluster.run(1)
        cluster.submit(1, [b"k", b"?"])
        cluster.run(1)
        for disk in cluster.disks:
            self.assertEqual(disk.batches(), [[b"k !", b"j ?\nk a"], []])
            self.assertEqual([each.executed for each in disk.checkpoints()], [(4, 0, 0), (4, 1, 0)])

    def test_the_whole_state_where_the_store_wants_it(self) -> None:
        """The state is that after the batches of the checkpoint.  A stop brings no state."""
        cluster = Cluster(default_batching(checkpoint_s=0.5)).start()
        disk = cluster.disks[0]
        for text, wanted in ((b"a", False), (b"b", True), (b"c", False), (b"d", True)):
            disk.wants_state = wanted
            if text == b"d":
                cluster.submit(0, [b"other", text])
                cluster.run(0.1)
                self.successResultOf(cluster.nodes[0].stop())
            else:
                cluster.submit(0, [b"k", text])
                cluster.run(1)
        states = [None if each.state is None else dict(each.state) for each in disk.checkpoints()]
        self.assertEqual(states, [None, {b"k": b"ab"}, None, None])
        self.assertEqual(disk.batches(), [[b"k a"], [b"k b"], [b"k c"], [b"other d"]])


class WholenessTests(SteppedCase):
    """A checkpoint waits until everything that was released is applied."""

    def checkpoints(self) -> Iterator[dict[bytes, bytes]]:
        """The state after each checkpoint of replica 0 so far, made from its batches."""
        log = Log()
        for checkpoint in self.cluster.disks[0].checkpoints():
            for _, batch in checkpoint.batches:
                log.run(batch)
            yield dict(log.texts)

    def test_checkpoints(self) -> None:
        """A checkpoint that is due during a batch waits for everything that was released."""
        self.use(StepLog, default_batching(checkpoint_s=0.01))
        disk = self.cluster.disks[0]
        disk.wants_state = True
        self.submit_long(b"a")
        self.cluster.clock.advance(0)
        self.submit_long(b"b")
        self.run_into_the_long_one()
        before = len(disk.checkpoints())
        began = self.cluster.clock.seconds()
        while self.cluster.clock.seconds() < began + 0.05:
            self.step()
        self.assertIsNotNone(self.watch.begun)
        self.assertEqual(len(disk.checkpoints()), before)
        self.cluster.run(0.3)
        for checkpoint, state in zip(disk.checkpoints(), self.checkpoints()):
            assert checkpoint.state is not None
            self.assertEqual(dict(checkpoint.state), state)
            self.assertEqual(sum(checkpoint.executed), sum(len(text) for text in state.values()) // LONG)
        self.assertEqual(state, {b"a": b"x" * LONG, b"b": b"x" * LONG})

    def test_checkpoints_between_batches(self) -> None:
        """Each batch takes a turn, and no checkpoint is due while one is applied in part."""
        self.use(StepLog, default_batching(commands_max=1, window=1000, checkpoint_s=0.004))
        self.watch.step_s = 2 * EXECUTE_S
        for k in range(20):
            self.cluster.submit(0, [b"%d" % k, b"x"])
        self.cluster.run(0.5)
        found = self.cluster.disks[0].checkpoints()
        self.assertEqual(sum(len(checkpoint.batches) for checkpoint in found), 20)
        for checkpoint, state in zip(found, self.checkpoints()):
            self.assertEqual(sum(checkpoint.executed) + len(checkpoint.beyond), len(state))

    def test_a_checkpoint_that_many_commands_call_for(self) -> None:
        self.patch(self.cluster.nodes[0]._checkpoints, "_commands_max", LONG + 1)
        self.submit_long(b"a")
        self.cluster.clock.advance(0)
        self.submit_long(b"b")
        self.cluster.run(0.4)
        self.assertEqual(list(self.checkpoints()), [{b"a": b"x" * LONG, b"b": b"x" * LONG}])

    def stopped(self) -> list[list[bytes]]:
        """Stop replica 0; the payloads of the batches of its checkpoints."""
        self.successResultOf(self.cluster.nodes[0].stop())
        return self.cluster.disks[0].batches()

    def test_stop_in_the_middle(self) -> None:
        """No checkpoint is written, and the next start executes the batch again."""
        outcome = self.submit_long()
        self.run_into_the_long_one()
        self.assertEqual(self.stopped(), [])
        self.assertIsInstance(outcome[0], Unavailable)
        written = self.cluster.disks[0].written
        batches = {id: batch for write_set in written for id, batch in write_set.batches}
        records = {record.id: record for write_set in written for record in write_set.records}
        self.assertEqual(list(batches), [InstanceId(0, 1)])
        self.watch.begun = None
        again = WatchedLog()
        self.cluster.logs[0] = again
        self.cluster.disks[0].restored = Restored(
            False,
            max(write_set.reserved or 0 for write_set in written),
            (0, 0, 0),
            (0, 0, 0),
            (),
            [(records[id], batch) for id, batch in batches.items()],
            {},
            (),
        )
        self.cluster.nodes[0] = self.cluster.new(0, default_batching())
        self.cluster.nodes[0].start()
        self.cluster.run(2)
        self.assertEqual(again.texts, {b"long": b"x" * LONG})

    def test_stop_at_rest(self) -> None:
        self.submit_long()
        self.cluster.run(0.3)
        self.assertEqual(len(self.stopped()), 1)
