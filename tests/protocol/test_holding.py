"""How many bytes instances are taken to hold."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.upkeep import holding
from epaxos.protocol.upkeep.holding import COMMAND_BYTES, INSTANCE_BYTES, _mean_bytes
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import Batch


def row(*counts: int) -> dict[int, Instance]:
    """Instances of so many commands, each of which sets a key of its own."""
    instances = {}
    for slot, count in enumerate(counts, 1):
        instance = instances[slot] = Instance(InstanceId(0, slot), (0,))
        instance.proposed = Batch(tuple(b"%04d" % key for key in range(count)), (), b"x" * count, count)
    return instances


class MeanTests(SynchronousTestCase):
    def test_instances_alike(self) -> None:
        for count in (1, 40):
            size = row(count)[1].proposed.size_bytes  # type: ignore[union-attr]
            self.assertEqual(_mean_bytes(row(*[count] * 9)), INSTANCE_BYTES + size + COMMAND_BYTES * count)

    def test_so_many_commands_and_no_more(self) -> None:
        """However many commands an instance has, few are looked at: the event loop stands still meanwhile."""
        self.patch(holding, "COMMANDS_LOOKED_AT_MAX", 20)
        self.assertEqual(_mean_bytes(row(10, 10, 500)), _mean_bytes(row(10)))
        self.assertGreater(_mean_bytes(row(10, 9, 500)), _mean_bytes(row(10)))
