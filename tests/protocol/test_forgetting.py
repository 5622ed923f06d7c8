"""Forgetting what every member has executed."""

from __future__ import annotations

from time import thread_time

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory import table
from epaxos.protocol.upkeep import forgetting
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    Heartbeat,
    Phase,
)
from epaxos.protocol.values.timing import Timing
from tests.protocol.lab import Lab, write


class ForgettingTests(SynchronousTestCase):
    def test_a_floor_that_jumps(self) -> None:
        """It rises by a million slots: in steps, each of which is short, and one in each turn."""
        lab = Lab(3)
        lab.advance(0.3)
        core = lab.replicas[0]
        far = (0, 1_000_000, 10)
        core.on_executed(far)
        lab.flush(0)
        for sender in (1, 2):
            core.receive(sender, Heartbeat(far, far))
        longest = turns = 0.0
        while core.table.floor != far:
            self.assertLessEqual(core.next_deadline(), lab.now + 0.2)
            begin = thread_time()
            core.tick(lab.now)
            output = core.take_output()
            longest = max(longest, thread_time() - begin)
            turns += 1
            if core.table.floor != far:
                self.assertLessEqual(core.next_deadline(), lab.now, "the next turn follows at once")
                self.assertIsNotNone(output.floor)
        self.assertLess(abs(turns - 1_000_010 / forgetting.FORGOTTEN_AT_ONCE), 3)
        self.assertLess(longest, 0.1)
        self.assertGreater(core.next_deadline(), lab.now)

    def test_what_is_dropped_in_parts_is_dropped_once(self) -> None:
        self.patch(forgetting, "FORGOTTEN_AT_ONCE", 3)
        lab = Lab(3)
        lab.advance(0.3)
        ids = [lab.propose(row, write("x")) for row in (0, 1, 2) for _ in range(5)]
        lab.settle()
        self.assertEqual(len(lab.disks[0].records), 15)
        for id in range(3):
            lab.disks[id].executed = (5, 5, 5)
            lab.replicas[id].on_executed((5, 5, 5))
            lab.flush(id)
        floors = set()
        for _ in range(40):
            lab.advance(0.05)
            floors.add(lab.replicas[0].table.floor)
        self.assertEqual(lab.replicas[0].table.floor, (5, 5, 5))
        self.assertGreaterEqual(len(floors), 5)
        self.assertEqual(lab.disks[0].records, {})
        self.assertEqual(lab.disks[0].batches, {})
        self.assertEqual(lab.disks[0].floor, (5, 5, 5))
        self.assertEqual(len(ids), 15)

    def test_a_gap_in_front_of_much_that_is_committed(self) -> None:
        """The search for missing slots does not pass over all committed slots behind them."""
        self.patch(table, "LOOKED_THROUGH_MAX", 1000)
        held = Lab(3).replicas[0].table
        for slot in (*range(2, 1500), *range(1501, 3000)):
            held.get(InstanceId(1, slot)).phase = Phase.COMMITTED
        self.assertEqual(held.uncommitted(1, 2999, 256), [InstanceId(1, 1)])
        self.assertEqual(held.uncommitted(2, 5000, 3), [InstanceId(2, slot) for slot in (1, 2, 3)])


class FloorTests(SynchronousTestCase):
    def test_executed_everywhere_is_dropped(self) -> None:
        lab = Lab(3, Timing(heartbeat_s=0.1))
        for k in range(5):
            lab.propose(k % 3, write("x"))
            lab.settle()
        for id in range(3):
            lab.replicas[id].on_executed((2, 2, 1))
            lab.flush(id)
        lab.advance(0.3)
        for id in range(3):
            self.assertEqual(len(lab.replicas[id].table), 0)
            self.assertEqual((lab.disks[id].records, lab.disks[id].batches), ({}, {}))
            self.assertEqual(lab.disks[id].floor, (2, 2, 1))

    def test_floor_is_named_by_what_comes_later(self) -> None:
        lab = Lab(3, Timing(heartbeat_s=0.1))
        lab.propose(0, write("x"))
        lab.settle()
        for id in range(3):
            lab.replicas[id].on_executed((1, 0, 0))
        lab.advance(0.3)
        later = lab.propose(1, write("x"))
        lab.settle()
        self.assertEqual(lab.decided[2][later].deps, (1, 0, 0))
        self.assertEqual(lab.replicas[1].counters.fast_path, 1)

    def test_floor_does_not_fall_with_a_restart(self) -> None:
        """A restarted replica that took those it has not heard of yet for ones that have executed
        nothing would propose without naming what it forgot.  One that has not forgotten it yet
        would then speak against that proposal in a recovery, though it was committed."""
        for named in (None, False):
            lab = Lab(3, named=named)
            lab.propose(2, write("x"))
            lab.settle()
            for id in range(3):
                executed = lab.disks[id].executed = lab.replicas[id].table.committed
                lab.replicas[id].on_executed(executed)
            lab.advance(0.5)
            self.assertEqual(lab.disks[0].floor, (0, 0, 1))
            lab.crash(0)
            lab.restart(0)
            lab.crash(2)
            lab.advance(0.5)
            self.assertEqual(lab.replicas[0].table.floor, (0, 0, 1))
            self.assertEqual(lab.disks[0].floor, (0, 0, 1))
            later = lab.propose(0, write("x"))
            self.assertGreaterEqual(lab.instance(0, later).deps[2], 1)

    def test_one_that_is_behind_holds_all_back(self) -> None:
        lab = Lab(3, Timing(heartbeat_s=0.1))
        lab.propose(0, write("x"))
        lab.settle()
        for id in range(2):
            lab.replicas[id].on_executed((1, 0, 0))
        lab.advance(0.5)
        self.assertEqual([len(replica.table) for replica in lab.replicas], [1, 1, 1])
