"""Observers are told what executed batches have written: once, in order, and when that ends."""

from __future__ import annotations

from collections.abc import Collection

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epaxos.interfaces import Command, IExecuted, IObserver, ISeesElements, IStateMachine
from epaxos.node.observers import Observers
from epaxos.protocol.values.messages import Batch
from tests.node.lab import Cluster, Log
from tests.node.steps import StepLog, SteppedCase


@implementer(IObserver)
class Observer:
    """Keeps what it is told; `sees()`: what it looks at in between."""

    def __init__(self, *names: bytes) -> None:
        self.names: set[bytes] = set(names)
        self.told: list[object] = []

    def on_written(self, names: Collection[bytes] | None, is_alone: bool) -> None:
        self.told.append(names)

    def on_quorum(self, is_there: bool) -> None:
        self.told.append("quorum" if is_there else "no quorum")

    def on_end(self, why: str) -> None:
        self.told.append(why)


class Broken(Observer):
    """Raises whatever it is told."""

    def on_written(self, names: Collection[bytes] | None, is_alone: bool) -> None:
        super().on_written(names, is_alone)
        raise RuntimeError("broken")


class ObserversTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster().start()

    def observe(self, id: int, *names: bytes) -> Observer:
        observer = Observer(*names)
        self.cluster.nodes[id].executed.observe(observer)
        return observer

    def submit(self, *commands: Command) -> None:
        self.cluster.submit(0, *commands)
        self.cluster.run(0.1)

    def test_interfaces(self) -> None:
        verifyObject(IObserver, Observer())
        verifyObject(IExecuted, self.cluster.nodes[0].executed)

    def test_every_replica_tells_each_write_once_and_in_order(self) -> None:
        observers = [self.observe(id, b"a", b"b") for id in range(3)]
        for batch in ([[b"a", b"1"]], [[b"c", b"1"]], [[b"c", b"1"], [b"b", b"1"]], [[b"a", b"2"]]):
            self.submit(*batch)
        for observer in observers:
            self.assertEqual(observer.told, [(b"a",), (b"c", b"b"), (b"a",)])

    def test_reads_tell_nothing_and_barriers_tell_everybody(self) -> None:
        observer, other = self.observe(1, b"a"), self.observe(1)
        self.submit([b"?", b"a"])
        self.submit([b"a", b"?"], [b"b", b"1"])
        self.assertEqual(observer.told, [])
        self.submit([b"z", b"!"])
        self.assertEqual((observer.told, other.told), ([None], [None]))

    def test_the_names_may_change(self) -> None:
        observer = self.observe(0)
        self.submit([b"a", b"1"])
        observer.names.add(b"a")
        self.submit([b"a", b"1"])
        observer.names.clear()
        self.submit([b"a", b"1"])
        self.assertEqual(observer.told, [(b"a",)])

    def test_whoever_submits_afterwards_misses_nothing(self) -> None:
        """The own write is told behind its reply, and a later one of another replica, too."""
        node, observer = self.cluster.nodes[0], self.observe(0, b"a")
        node.submit([[b"a", b"1"]], observer.told.append)
        self.cluster.submit(1, [b"a", b"2"])
        self.cluster.run(0.2)
        self.assertEqual(len(observer.told), 3)
        own = next(index for index, told in enumerate(observer.told) if isinstance(told, list))
        self.assertEqual(observer.told[own + 1], (b"a",))

    def test_forget(self) -> None:
        observer = self.observe(0, b"a")
        executed = self.cluster.nodes[0].executed
        executed.forget(observer)
        executed.forget(observer)
        self.submit([b"a", b"1"])
        self.cluster.isolate(0)
        self.cluster.run(3)
        self.assertEqual(observer.told, [])

    def test_a_bug_of_one_harms_nobody(self) -> None:
        broken = Broken(b"a")
        self.cluster.nodes[0].executed.observe(broken)
        observer = self.observe(0, b"a")
        self.submit([b"a", b"1"])
        self.submit([b"a", b"1"])
        self.assertEqual((broken.told, observer.told), ([(b"a",)] * 2, [(b"a",)] * 2))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertEqual(self.cluster.fatal, [])

    def test_quorum(self) -> None:
        observers = [self.observe(id) for id in range(3)]
        self.cluster.isolate(0)
        self.cluster.run(3)
        self.assertEqual([each.told for each in observers], [["no quorum"], [], []])
        self.cluster.cut.clear()
        self.cluster.run(1)
        self.assertEqual([each.told for each in observers], [["no quorum", "quorum"], [], []])

    def test_the_end(self) -> None:
        observer = self.observe(0, b"a")
        self.cluster.nodes[0].stop()
        self.assertEqual(observer.told, ["CLUSTERDOWN the replica is stopping"])
        late = self.observe(0, b"a")
        self.assertEqual(late.told, observer.told)
        self.cluster.nodes[1].fail("the disk is full")
        self.cluster.run(0.5)
        self.assertEqual(len(observer.told), 1)

    def test_elements(self) -> None:
        executed = self.cluster.nodes[0].executed
        self.assertEqual(executed.elements(0, [b"BLPOP", b"a", b"0"], b"a"), 1)
        self.assertEqual(executed.name_of(3, b"a"), b"a")


@implementer(IStateMachine, ISeesElements)
class Counting(Log):
    def elements(self, database: int, command: Command, key: bytes) -> int:
        return len(self.texts.get(key, b""))


class ElementsTests(SteppedCase):
    def test_between_batches_only(self) -> None:
        """While a batch is applied in part nobody may look at the state."""
        self.use(StepLog)
        executed = self.cluster.nodes[0].executed
        outcome = self.submit_long()
        self.run_into_the_long_one()
        self.assertIsNone(executed.elements(0, [b"x", b"k"], b"k"))
        self.cluster.run(0.5)
        self.assertEqual(len(outcome), 1)
        self.assertEqual(executed.elements(0, [b"x", b"k"], b"k"), 1)

    def test_as_the_machine_says(self) -> None:
        whole = [True]
        log = Counting()
        log.texts[b"k"] = b"abc"
        observers = Observers(log, lambda: whole[0], lambda: True)
        self.assertEqual(observers.elements(0, [b"x", b"k"], b"k"), 3)
        whole[0] = False
        self.assertIsNone(observers.elements(0, [b"x", b"k"], b"k"))

    def test_nobody_is_asked_while_nobody_observes(self) -> None:
        observers = Observers(Log(), lambda: True, lambda: False)
        self.assertEqual((bool(observers.all), observers.due), (False, float("inf")))
        observer = Observer(b"k")
        observers.observe(observer)
        observers.on_applied(Batch((b"k",), (), b"", 1))
        observers.on_time(1.0)
        observers.forget(observer)
        self.assertEqual((observer.told, observers.due), ([(b"k",), "no quorum"], float("inf")))
