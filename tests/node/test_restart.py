"""What a node restores when it starts."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Restored, StoreError
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from tests.defaults import default_batching
from tests.node.lab import Cluster, Disk, Log


class RestartTests(SynchronousTestCase):
    def test_restart_takes_up_the_checkpoints_and_what_came_after(self) -> None:
        """The state comes first, then the batches of later checkpoints, then what else is committed."""
        cluster = Cluster(default_batching(checkpoint_s=0.5)).start()
        disk = cluster.disks[2]
        for text in (b"x", b"y", b"z"):
            disk.wants_state = text == b"x"
            cluster.submit(0, [b"k", text])
            cluster.run(1)
        cluster.submit(1, [b"k", b"b"])
        cluster.run(0.1)
        base, *later = disk.checkpoints()
        checkpoint = later[-1]
        assert base.state is not None
        self.assertEqual((len(later), checkpoint.executed), (2, (3, 0, 0)))
        batches = {id: batch for w in disk.written for id, batch in w.batches}
        records = {record.id: record for w in disk.written for record in w.records}
        cluster.wires[2].receive = None
        cluster.logs[2], cluster.disks[2] = Log(), Disk()
        cluster.disks[2].restored = Restored(
            False,
            max(w.reserved or 0 for w in disk.written),
            (0, 0, 0),
            checkpoint.executed,
            checkpoint.beyond,
            [(record, batches.get(id)) for id, record in records.items()],
            [dict(base.state)],
            (executed for each in later for executed in each.batches),
        )
        cluster.nodes[2] = cluster.new(2, default_batching())
        cluster.nodes[2].start()
        cluster.run(3)
        log = cluster.logs[2]
        self.assertEqual(log.texts, {b"k": b"xyzb"})
        self.assertEqual(log.batches, [[b"k b"]], "the others were not run again")
        self.assertEqual(
            [(ready.id, ready.batch.payload, ready.wanted) for ready in log.restored],
            [(InstanceId(0, 2), b"k y", False), (InstanceId(0, 3), b"k z", False)],
        )
        outcomes = cluster.submit(2, [b"k", b"c"])
        cluster.run(1)
        self.assertEqual(outcomes, [[b"xyzbc"]])
        cluster.run(1)
        self.assertEqual(cluster.disks[2].batches(), [[b"k b"], [b"k c"]], "it gets nothing that it gave")

    def test_start_fails_as_the_store_and_the_transport_do(self) -> None:
        for part, error in (("disks", StoreError("damaged")), ("wires", OSError("in use"))):
            cluster = Cluster()
            getattr(cluster, part)[0].error = error
            self.assertIs(self.failureResultOf(cluster.nodes[0].start()).value, error)

    def test_start_fails_when_what_was_executed_cannot_be_applied_again(self) -> None:
        """It fails in the same way when the store cannot read its data."""
        id, good = InstanceId(1, 1), Batch((b"k",), (), b"k a", 1)

        def unreadable() -> Iterator[tuple[InstanceId, Batch]]:
            yield id, good
            raise StoreError("damaged")

        for batches, text in (
            (iter([(id, good), (id, Batch((b"k",), (), b"poison", 1))]), "cannot be applied again: poison"),
            (unreadable(), "damaged"),
        ):
            cluster = Cluster()
            cluster.disks[0].restored = cluster.disks[0].restored._replace(batches=batches)
            error = self.failureResultOf(cluster.nodes[0].start(), StoreError).value
            self.assertIn(text, str(error))
            self.assertNotIn("\n", str(error))
            self.assertIsNone(cluster.wires[0].receive, "it does not take part")
