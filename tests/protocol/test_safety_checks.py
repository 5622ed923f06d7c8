"""The checks that guard safety raise InvariantError, even when `python -O` has removed all asserts."""

from __future__ import annotations

import subprocess
import sys
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.slots import OwnSlots
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.errors import InvariantError
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import NOP
from epaxos.protocol.values.quorums import Quorums
from epaxos.protocol.values.timing import Timing


class SafetyCheckTests(SynchronousTestCase):
    def test_a_slot_that_is_not_durably_reserved(self) -> None:
        slots = OwnSlots()
        slots.wanted()
        self.assertRaises(InvariantError, slots.take)

    def test_a_forgotten_instance_does_not_start_anew(self) -> None:
        table = InstanceTable(Epoch.first(3))
        table.forget((0, 4, 0))
        self.assertRaises(InvariantError, table.get, InstanceId(1, 4))

    def test_the_floor_does_not_fall(self) -> None:
        table = InstanceTable(Epoch.first(3))
        table.forget((2, 2, 2))
        self.assertRaises(InvariantError, table.forget, (3, 1, 3))
        self.assertEqual(table.floor, (2, 2, 2))

    def test_a_decision_has_a_value_and_is_made_once(self) -> None:
        state = ReplicaState(0, Quorums.of(Epoch.first(3)), Timing(), Random(0))
        instance = state.table.get(InstanceId(1, 1))
        self.assertRaises(InvariantError, state.decide, instance, 0, durably=False)
        instance.cmd = NOP
        state.decide(instance, 0, durably=False)
        self.assertRaises(InvariantError, state.decide, instance, 0, durably=False)

    def test_without_asserts(self) -> None:
        code = (
            "from epaxos.protocol.memory.slots import OwnSlots\n"
            "assert False\n"
            "try:\n    OwnSlots().take()\n"
            "except Exception as error:\n    print(type(error).__name__)\n"
        )
        run = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=False)
        self.assertEqual(run.stdout.strip(), "InvariantError", run.stderr)
