"""An instance and its record."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import NOP, Batch, Phase


class InstanceTests(SynchronousTestCase):
    def test_records_restore_what_they_were_made_of(self) -> None:
        batch = Batch((b"x",), (), b"p", 1)
        for cmd, proposed in ((None, None), (NOP, None), (NOP, batch), (batch, batch), (None, batch)):
            instance = Instance(InstanceId(1, 4), (0, 3))
            instance.phase, instance.bal, instance.abal = Phase.ACCEPTED, 7, 5
            instance.cmd, instance.proposed = cmd, proposed
            again = Instance.restore(instance.record(), proposed)
            self.assertEqual(again.record(), instance.record())
            self.assertIs(again.cmd, cmd)
            self.assertIs(again.proposed, proposed)

    def test_a_missing_batch_is_noticed(self) -> None:
        instance = Instance(InstanceId(1, 4), (0, 3))
        instance.cmd = instance.proposed = Batch((b"x",), (), b"p", 1)
        self.assertRaises(ValueError, Instance.restore, instance.record(), None)
