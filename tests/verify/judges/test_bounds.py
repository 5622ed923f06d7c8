"""Counting the entries that a replica holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.node import Node
from epaxos.protocol.values.instance import Instance
from epaxos.verify.judges.bounds import allowed, held
from epaxos.verify.simulation.components import Components
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import simulate


class _Slotted:
    __slots__ = ("inner", "unset")

    def __init__(self, inner: object) -> None:
        self.inner = inner


class _World:
    def __init__(self) -> None:
        self.all = list(range(1000))


class _Thing:
    def __init__(self) -> None:
        self.table = {1: [1, 2], 2: {3, 4, 5}}
        self.queue = deque([_Slotted([1, 2, 3, 4]), _Slotted((1, [2]))])
        self.world = _World()
        self.again = self
        self.bound = _Slotted([1]).__init__  # type: ignore[misc]

    def method(self) -> None:
        """Nothing."""


class HeldTests(SynchronousTestCase):
    def test_every_table_that_can_be_reached_counts_once(self) -> None:
        thing = _Thing()
        self.assertEqual(held(thing, (_World,)), 2 + 2 + 3 + 2 + 4 + 1 + 1)
        self.assertEqual(held(thing.method, (_World,)), held(thing, (_World,)))
        self.assertEqual(held(thing, ()) - held(thing, (_World,)), 1000)

    def test_allowed(self) -> None:
        self.assertGreater(allowed(10, 3, 5, 1), allowed(10, 3, 5, 0))
        self.assertLess(allowed(10, 3, 5, 0), 50)
        self.assertGreaterEqual(allowed(10, 7, 0, 0) - allowed(10, 1, 0, 0), 3 * 6)  # heard, near, asked


class _Leaking(Node):
    """A node that keeps an entry of every instance for ever."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.remembered: list[int] = []

    def _on_decided(self, decided: Sequence[Instance]) -> None:
        self.remembered += [instance.id.slot for instance in decided]
        super()._on_decided(decided)


class LeakTests(SynchronousTestCase):
    def test_a_leak_is_found(self) -> None:
        result = simulate(Plan.of(2, 3, "lan"), components=Components(node=_Leaking))
        self.assertTrue(result.violations)
        self.assertIn("Bounds: the tables of replica", result.violations[0])
