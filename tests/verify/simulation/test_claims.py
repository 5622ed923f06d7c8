"""What a replica claims in its Heartbeats, and does not hold."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.control import Standing
from epaxos.protocol.values.ids import Deps
from epaxos.protocol.values.messages import Heartbeat, Phase
from epaxos.verify.simulation.claims import Claims


class ClaimsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.violations: list[str] = []
        self.rows: list[dict[int, SimpleNamespace]] = [{}, {}, {}]
        table = SimpleNamespace(floor=(2, 0, 0), rows=self.rows)
        following = SimpleNamespace(number=1)
        self.node = SimpleNamespace(_following=following, _core=SimpleNamespace(table=table))
        self.claims = Claims(1, self.violations.append)

    def hold(self, row: int, *slots: int, phase: Phase = Phase.COMMITTED) -> None:
        for slot in slots:
            self.rows[row][slot] = SimpleNamespace(phase=phase)

    def claim(self, *committed: int, behind: int = 0) -> list[str]:
        self.violations.clear()
        vector: Deps = committed
        epoch = self.node._following.number - behind
        self.claims.check(epoch, Heartbeat(vector, (0, 0, 0)), self.node)
        return self.violations

    def test_what_is_held_or_forgotten(self) -> None:
        self.hold(0, 3, 4)
        self.hold(2, 1)
        self.assertEqual(self.claim(4, 0, 1), [])

    def test_what_is_not(self) -> None:
        self.hold(0, 3, 5)
        self.hold(1, 1, phase=Phase.ACCEPTED)
        self.assertEqual(
            self.claim(5, 1, 0),
            [f"Claims: replica 1 claims {id}, and does not hold it" for id in ("0.4", "1.1")],
        )

    def test_an_epoch_that_has_ended(self) -> None:
        """What is held of it is on the disk, not in the table."""
        self.assertEqual(self.claim(5, 1, 0, behind=1), [])

    def test_an_epoch_that_is_not_synced(self) -> None:
        self.claims.check_epoch(Standing(2, 2), 2)
        self.claims.check_epoch(Standing(3, 2), 2)
        self.assertEqual(self.violations, [])
        self.claims.check_epoch(Standing(3, 3), 2)
        self.assertEqual(
            self.violations, ["Claims: replica 1 has opened epoch 3, it says, and 2 is on its disk"]
        )

    def test_each_once_in_each_epoch(self) -> None:
        self.hold(0, 3)
        self.assertEqual(self.claim(3, 0, 0), [])
        del self.rows[0][3]
        self.assertEqual(self.claim(3, 0, 0), [])
        self.node._following.number = 2
        self.assertEqual(len(self.claim(3, 0, 0)), 1)
