"""What comes before the node: from an opened store to a list of members that is durable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import Identity, IStore, Restored, WriteSet
from epaxos.protocol.values.control import Control, Founded, Standing
from epaxos.protocol.values.epoch import Epoch
from epaxos.service.first_start import AGAIN_S, FirstStart
from epaxos.service.opened_store import OpenedStore
from epaxos.storage.memory import MemoryStore
from epaxos.transport.introductions import Hears, Myself
from tests.transport.lab import introduction, membership

IDENTITY = Identity("home", 0, Epoch.first(3), "kv")


class Store(MemoryStore):
    """Holds what the test says; a write is durable when the test says so."""

    def __init__(self, **held: Any) -> None:
        super().__init__()
        self.held = {"uid": 100, **held}
        self.writes: list[tuple[WriteSet, Callable[[], None]]] = []
        self.at_once = False

    def open(self, identity: Identity) -> Restored:
        return super().open(identity)._replace(**self.held)

    def write(self, write_set: WriteSet, durable: Callable[[], None]) -> None:
        self.writes.append((write_set, durable))
        if self.at_once:
            durable()


class Transport:
    """Notes what is asked of it."""

    def __init__(self, opened: Deferred[None] | None = None) -> None:
        self.opened = opened or succeed(None)
        self.opens = 0
        self.sent: list[tuple[int, Control]] = []

    def introduce(self, myself: Myself, hears: Hears, patience_s: float) -> None:
        self.myself = myself

    def open(self) -> Deferred[None]:
        self.opens += 1
        return self.opened

    def send_control(self, replica: int, control: Control) -> bool:
        self.sent.append((replica, control))
        return True


class FirstStartTests(SynchronousTestCase):
    def make(self, transport: Transport | None = None, identity: Identity = IDENTITY, **held: Any) -> None:
        self.clock = Clock()
        self.store = Store(**held)
        self.opened = OpenedStore(self.store)
        self.transport = transport or Transport()
        self.wrong: list[str] = []
        self.lines: list[str] = []
        observer = lambda event: self.lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.first = FirstStart(
            identity, self.opened, self.transport, 1.0, self.clock, self.wrong.append, lambda below: 6
        )

    def meet(self, *others: int) -> None:
        for number in others:
            self.first.on_met(number, introduction(number, unfounded=True))

    def test_the_store(self) -> None:
        self.make(unfounded=True)
        verifyObject(IStore, self.opened)
        restored = self.opened.open(IDENTITY)
        self.assertIs(self.opened.open(IDENTITY), restored)

    def test_a_folder_with_data_starts_at_once(self) -> None:
        for held in ({"unfounded": False}, {"unfounded": False, "founded": membership()}):
            self.make(**held)
            self.successResultOf(self.first.run())
            self.assertEqual(self.transport.opens, 0, "the node opens the transport when it is restored")
            self.assertEqual(self.transport.myself.membership, held.get("founded"))

    def test_from_the_list_to_the_start(self) -> None:
        self.make(unfounded=True)
        started = self.first.run()
        self.meet(1)
        self.assertEqual(self.store.writes, [])
        self.meet(2)
        ((write_set, durable),) = self.store.writes
        self.assertEqual(write_set, WriteSet(founded=membership(), sync=True))
        self.assertNoResult(started)
        self.assertEqual(self.transport.sent, [])
        self.assertTrue(self.transport.myself.unfounded)
        durable()
        self.successResultOf(started)
        restored = self.opened.open(IDENTITY)
        self.assertEqual((restored.founded, restored.unfounded), (membership(), False))
        self.assertEqual((self.transport.myself.uuid, self.transport.myself.unfounded), (7, False))
        self.assertEqual(dict(self.transport.sent), {1: Founded(membership()), 2: Founded(membership())})

    def test_it_is_told_until_all_know_it(self) -> None:
        self.make(unfounded=False, founded=membership())
        self.successResultOf(self.first.run())
        self.meet(1, 2)
        self.first.on_control(1, Founded(membership()))
        self.first.on_control(1, Standing(0, 0))  # it is for somebody else
        self.transport.sent.clear()
        self.clock.advance(AGAIN_S)
        self.assertEqual(self.transport.sent, [(2, Founded(membership()))])
        self.first.on_lost(2)
        self.clock.advance(AGAIN_S)
        self.assertEqual(len(self.transport.sent), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_durable_at_once(self) -> None:
        """As with `engine = memory`: one timer, whatever calls what."""
        self.make(unfounded=True)
        self.store.at_once = True
        started = self.first.run()
        self.meet(1, 2)
        self.successResultOf(started)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.first.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_alone(self) -> None:
        self.make(identity=IDENTITY._replace(epoch=Epoch.first(1)), unfounded=True)
        self.store.at_once = True
        self.successResultOf(self.first.run())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_told(self) -> None:
        self.make(identity=IDENTITY._replace(replica=2), unfounded=True, uid=102)
        started = self.first.run()
        self.meet(0)
        self.first.on_control(0, Founded(membership()))
        ((write_set, durable),) = self.store.writes
        self.assertEqual(write_set.founded, membership())
        durable()
        self.successResultOf(started)

    def test_a_folder_that_is_wrong(self) -> None:
        """It waits for ever, and the process is stopped by whoever is told."""
        for happens in (
            lambda: self.first.on_control(1, Founded(membership())),
            lambda: self.first.on_met(1, introduction(1)),
            lambda: self.first.on_wrong("it was wiped"),
        ):
            self.make(unfounded=True, uid=5)
            started = self.first.run()
            happens()
            happens()
            self.assertEqual(len(self.wrong), 1)
            self.assertNoResult(started)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whom_it_waits_for_is_logged_now_and_then(self) -> None:
        self.make(unfounded=True)
        self.first.run()
        self.clock.advance(0.1)
        self.assertEqual([line for line in self.lines if "waits for" in line], [], "a start that is quick")
        for _ in range(25):
            self.clock.advance(AGAIN_S)
        said = [line for line in self.lines if "waits for" in line]
        self.assertEqual(len(said), 3)
        self.assertIn("first start: replica 0 waits for replicas 1, 2: at the first start every", said[0])

    def test_an_older_version(self) -> None:
        self.make(unfounded=True)
        self.first.run()
        self.first.on_met(1, None)
        self.meet(2)
        self.assertEqual(self.store.writes, [])
        for _ in range(3):
            self.clock.advance(AGAIN_S)
        self.assertTrue([line for line in self.lines if "replica 1: the version that runs there" in line])

    def test_a_port_that_is_taken(self) -> None:
        taken = CannotListenError("127.0.0.1", 7000, OSError(98, "Address already in use"))
        self.make(Transport(fail(taken)), unfounded=True)
        self.failureResultOf(self.first.run(), CannotListenError)

    def test_stopped_while_it_waits(self) -> None:
        self.make(unfounded=True)
        started = self.first.run()
        self.meet(1, 2)
        ((_, durable),) = self.store.writes
        self.first.stop()
        durable()
        self.meet(1)
        self.assertNoResult(started)
        self.assertEqual((self.transport.sent, self.clock.getDelayedCalls()), ([], []))
