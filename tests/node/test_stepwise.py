"""Every state machine can be driven step by step."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.interfaces import Command, IStateMachine, IStepwise, Ready, Reply, Steps
from epaxos.node.stepwise import stepwise
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch

READY = Ready(InstanceId(0, 1), Batch((b"k",), (), b"payload", 1), True)


@implementer(IStateMachine)
class Plain:
    """A state machine that provides IStateMachine alone."""

    def __init__(self) -> None:
        self.applied: list[Ready] = []

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        self.applied += ready
        return [["applied"] for _ in ready]

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        return ["read" for _ in commands]


@implementer(IStepwise)
class InSteps(Plain):
    def apply_in_steps(self, ready: Ready) -> Steps:
        return iter((None, ["in steps"]))

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        return iter((None, ["read in steps"]))


class AppliesOtherwise(InSteps):
    """A derived class that overrides `apply` alone."""

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        return [["otherwise"] for _ in ready]


class ReadsOtherwise(InSteps):
    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        return ["read otherwise"]


class BothOtherwise(AppliesOtherwise):
    def apply_in_steps(self, ready: Ready) -> Steps:
        return iter((["both"],))


class StepwiseTests(SynchronousTestCase):
    def test_what_is_called(self) -> None:
        for machine, applied, read in (
            (Plain(), [["applied"]], [["read"]]),
            (InSteps(), [None, ["in steps"]], [None, ["read in steps"]]),
            (AppliesOtherwise(), [["otherwise"]], [["read"]]),
            (ReadsOtherwise(), [["applied"]], [["read otherwise"]]),
            (BothOtherwise(), [["both"]], [None, ["read in steps"]]),
        ):
            driven = stepwise(machine)
            name = type(machine).__name__
            self.assertEqual(list(driven.apply_in_steps(READY)), applied, name)
            self.assertEqual(list(driven.read_in_steps([[b"?", b"k"]])), read, name)

    def test_one_batch_at_a_time(self) -> None:
        machine = Plain()
        stepwise(machine).apply_in_steps(READY)
        self.assertEqual(machine.applied, [READY])

    def test_the_machine_itself(self) -> None:
        machine = InSteps()
        self.assertIs(stepwise(machine), machine)
