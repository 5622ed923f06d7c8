"""One replica of a model and its disk: what waits for what."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Accept, AcceptOK, PreAccept, PreAcceptOK, Recover
from epaxos.verify.models.fingerprint import fingerprint
from epaxos.verify.models.model import writes
from epaxos.verify.models.model_replica import ModelReplica, new_replica

A, B = writes("a"), writes("b")
ID, OTHER = InstanceId(0, 1), InstanceId(1, 1)
NONE = (0, 0, 0)


class LateReplicaTests(SynchronousTestCase):
    """A replica whose writes become durable in steps of their own."""

    def setUp(self) -> None:
        self.replica = ModelReplica(2, 3, new_replica, syncs=False)

    def test_an_answer_leaves_when_it_is_durable(self) -> None:
        self.assertEqual(self.replica.receive(0, PreAccept(ID, A, NONE)).messages, [])
        self.assertEqual(self.replica.sync().messages, [(0, PreAcceptOK(ID, NONE))])

    def test_a_double_changes_nothing(self) -> None:
        """So a queue of writes does not grow without end, and there are only so many replicas."""
        for message in (PreAccept(ID, A, NONE), Accept(ID, 3, A, NONE)):
            self.replica.receive(0, message)
            before = fingerprint(self.replica)
            self.assertEqual(self.replica.receive(0, message).messages, [])
            self.assertEqual(fingerprint(self.replica), before)

    def test_a_double_of_what_is_durable_is_answered_at_once(self) -> None:
        self.replica.receive(0, Accept(ID, 3, A, NONE))
        self.replica.sync()
        self.assertEqual(self.replica.receive(0, Accept(ID, 3, A, NONE)).messages, [(0, AcceptOK(ID, 3))])
        self.assertEqual(self.replica.unwritten, [])

    def test_a_double_does_not_overtake_what_is_not_durable(self) -> None:
        self.replica.receive(0, PreAccept(ID, A, NONE))
        self.replica.sync()
        self.replica.receive(1, PreAccept(OTHER, B, NONE))
        self.assertEqual(self.replica.receive(0, PreAccept(ID, A, NONE)).messages, [])
        self.assertEqual(
            self.replica.sync().messages,
            [(1, PreAcceptOK(OTHER, (1, 0, 0))), (0, PreAcceptOK(ID, NONE))],
        )

    def test_a_crash_takes_what_is_not_durable(self) -> None:
        self.replica.receive(0, PreAccept(ID, A, NONE))
        self.replica.sync()
        self.replica.receive(0, Recover(ID, 3))
        self.replica.reboot(new_replica)
        instance = self.replica.core.table.find(ID)
        assert instance is not None
        self.assertEqual((instance.bal, instance.deps), (0, NONE))
