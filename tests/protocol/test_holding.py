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

    def test_the_first_ones_are_not_like_the_others(self) -> None:
        """A member that is away: small commands first, then large batches; or one large batch first."""
        small, large = row(1)[1], row(100)[1]
        for counts in ((500, 19_500), (19_500, 500)):
            kinds = [kind for kind, count in zip((small, large), counts) for _ in range(count)]
            found = _mean_bytes(dict(enumerate(kinds, 7)))
            size = [kind.proposed.size_bytes for kind in (small, large)]  # type: ignore[union-attr]
            held = [INSTANCE_BYTES + size[0] + COMMAND_BYTES, INSTANCE_BYTES + size[1] + 100 * COMMAND_BYTES]
            real = (held[0] * counts[0] + held[1] * counts[1]) / 20_000
            self.assertTrue(0.5 * real < found < 1.5 * real, (found, real))
        huge = dict(enumerate([row(20_000)[1], *[small] * 2_000], 1))
        self.assertEqual(_mean_bytes(huge), _mean_bytes(row(1)))

    def test_so_many_commands_and_no_more(self) -> None:
        """However many commands an instance has, few are looked at: the event loop stands still meanwhile."""
        self.patch(holding, "COMMANDS_LOOKED_AT_MAX", 20)
        self.assertEqual(_mean_bytes(row(10, 10, 500)), _mean_bytes(row(10)))
        self.assertGreater(_mean_bytes(row(10, 9, 500)), _mean_bytes(row(10)))
