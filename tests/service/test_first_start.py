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

from epaxos.config.model import ConfigError
from epaxos.interfaces import Identity, IStore, Restored, WriteSet
from epaxos.protocol.values.control import Control, Founded, Standing
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.service.first_start import AGAIN_S, FirstStart
from epaxos.service.opened_store import OpenedStore
from epaxos.storage.memory import MemoryStore
from epaxos.transport.introductions import Hears, Myself
from tests.transport.lab import introduction
from tests.transport.lab import membership as listed

IDENTITY = Identity("home", 0, Epoch.first(3), "kv")


def membership() -> Membership:
    """The list that programs of this version make."""
    return listed()._replace(version=VERSION)


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

    def know(self, membership: Membership) -> None:
        self.myself.membership = membership
        self.myself.unfounded = False


class FirstStartTests(SynchronousTestCase):
    def make(
        self,
        transport: Transport | None = None,
        identity: Identity = IDENTITY,
        options: dict[str, Any] | None = None,
        **held: Any,
    ) -> None:
        self.clock = Clock()
        self.store = Store(**held)
        self.opened = OpenedStore(self.store)
        self.transport = transport or Transport()
        self.wrong: list[str] = []
        self.outdated: list[str] = []
        self.lines: list[str] = []
        observer = lambda event: self.lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.first = FirstStart(
            identity,
            self.opened,
            self.transport,
            1.0,
            self.clock,
            self.wrong.append,
            self.outdated.append,
            lambda below: 6,
            **(options or {}),
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

    def test_where_it_is_found(self) -> None:
        """The list that it makes says it of all, and it says it of itself: as the list does that counts."""
        found_at = {number: Member(number, 0, f"tcp:{number}:1") for number in range(3)}
        self.make(options={"found_at": found_at}, unfounded=True)
        self.first.run()
        self.meet(1, 2)
        ((write_set, _),) = self.store.writes
        assert write_set.founded is not None
        self.assertEqual(
            [each.peer_connect for each in write_set.founded.members], ["tcp:0:1", "tcp:1:1", "tcp:2:1"]
        )
        self.assertEqual(self.transport.myself.address, "tcp:0:1")
        listed = Membership(7, 4, 1, (Member(0, 100, "tcp:9:9"), Member(1, 101)))
        for number, next_number, address in ((0, 0, "tcp:0:1"), (0, 3, "tcp:9:9"), (1, 3, "tcp:1:1")):
            founded = listed._replace(next_number=next_number)
            identity = IDENTITY._replace(replica=number)
            self.make(identity=identity, options={"found_at": found_at}, unfounded=False, founded=founded)
            self.first.run()
            self.assertEqual(self.transport.myself.address, address)

    def test_first_members_need_their_sections(self) -> None:
        """Also one that is told to join: until the first epoch has ended, the list alone is not enough."""
        for numbers, is_refused in (((0, 1, 2), False), ((0,), True), ((0, 1, 2, 3), True)):
            found_at = {number: Member(number, 0) for number in numbers}
            options = {"found_at": found_at, "seed": "tcp:a:1"}
            self.make(options=options, unfounded=False, founded=membership())
            if is_refused:
                error = self.assertRaises(ConfigError, self.first.run)
                self.assertIn("the members are 0, 1, 2: the configuration needs the sections of", str(error))
            else:
                self.successResultOf(self.first.run())

    def test_who_joins_waits_for_nothing(self) -> None:
        """Its node makes it a member; it is told no first list."""
        joins = IDENTITY._replace(replica=3, epoch=Epoch.none())
        self.make(identity=joins, options={"seed": "tcp:a:1"}, unfounded=True, uid=103)
        self.successResultOf(self.first.run())
        self.assertTrue(self.first.joins)
        self.assertEqual(self.transport.opens, 0)
        me = self.transport.myself
        self.assertEqual((me.seed, me.unfounded, me.membership), ("tcp:a:1", False, None))
        self.assertIn("replica 3 joins the cluster of the member at tcp:a:1, with the uid", self.lines[-1])
        self.meet(0)
        self.first.on_control(0, Founded(membership()))
        self.assertEqual((self.store.writes, self.transport.sent), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_is_a_member_joins_no_more(self) -> None:
        """What its folder says counts over the command line, and over the first members of the file."""
        met: list[Membership] = []
        listed = Membership(7, 4, 1, (Member(0, 100), Member(3, 103)), 4)
        joins = IDENTITY._replace(replica=3, epoch=Epoch.none())
        options = {"seed": "tcp:a:1", "met": met.append}
        self.make(identity=joins, options=options, unfounded=False, founded=listed, uid=103)
        self.successResultOf(self.first.run())
        self.assertFalse(self.first.joins)
        self.assertEqual((self.transport.myself.seed, self.transport.myself.membership), ("", listed))
        self.assertIn(
            "--join tcp:a:1 is of no effect, because its folder knows the members (epoch 4)", self.lines[-1]
        )
        self.assertEqual(met, [listed])
        self.meet(1)
        self.assertEqual(self.transport.sent, [], "it is no member")
        self.meet(0)
        self.assertEqual(self.transport.sent, [(0, Founded(listed))])

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
