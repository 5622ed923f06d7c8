"""Clients that wait for elements: who gets which, and what is submitted for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epaxos.connections.blocking import LOOKED_AT_MAX, Blocked, Wish
from epaxos.interfaces import Command, CommandError, IExecuted, IObserver, NilArray, Outcome, Unavailable

NIL = [NilArray()]


@implementer(IExecuted)
class Replica:
    """Lists by keys, which `POP key ...` pops from; `held` are the commands that have not run.

    `is_whole`: see IExecuted.elements.  `is_late`: outcomes come when `tell` is called, after what was
    written was told.
    """

    def __init__(self) -> None:
        self.executed = self
        self.lists: dict[bytes, list[bytes]] = {}
        self.held: list[tuple[Command, Callable[[Outcome], None]]] = []
        self.observers: list[IObserver] = []
        self.submitted = 0
        self.is_whole = True
        self.is_late = False
        self.late: list[tuple[Callable[[Outcome], None], Outcome]] = []

    def name_of(self, database: int, key: bytes) -> bytes:
        return b"%d:%b" % (database, key)

    applied = 0

    def keys_named(self, name: bytes) -> Sequence[bytes]:
        return (name.partition(b":")[2],)

    def observe(self, observer: IObserver) -> None:
        assert observer not in self.observers
        self.observers.append(observer)

    def forget(self, observer: IObserver) -> None:
        self.observers.remove(observer)

    def elements(self, database: int, command: Command, key: bytes) -> int | None:
        return len(self.lists.get(self.name_of(database, key), ())) if self.is_whole else None

    def submit(
        self, commands: Sequence[Command], on_done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        (command,) = commands
        self.submitted += 1
        self.held.append((command, on_done))

    def push(self, name: bytes, *elements: bytes) -> None:
        """Another client, or replica, has pushed."""
        self.lists.setdefault(name, []).extend(elements)
        self.tell_written([name])

    def pop(self, name: bytes) -> bytes:
        """Another one has popped."""
        element = self.lists[name].pop(0)
        self.tell_written([name])
        return element

    def tell_written(self, names: Collection[bytes] | None) -> None:
        for observer in tuple(self.observers):
            if names is None or not observer.names.isdisjoint(names):
                observer.on_written(names, False)

    def run(self, count: int | None = None) -> None:
        """Run what is held, and what that leads to; or only the first `count` of it."""
        while self.held and count != 0:
            count = None if count is None else count - 1
            command, on_done = self.held.pop(0)
            names = [self.name_of(int(command[1]), key) for key in command[2:]]
            found: Any = NilArray()
            for name in names:
                if self.lists.get(name):
                    found = [name, self.lists[name].pop(0)]
                    break
                if name in self.lists and name.endswith(b"wrong"):
                    found = CommandError("WRONGTYPE")
                    break
            if self.is_late:
                self.late.append((on_done, [found]))
                self.tell_written(names)
            else:
                on_done([found])
                self.tell_written(names)

    def tell(self) -> None:
        late, self.late = self.late, []
        for on_done, outcome in late:
            on_done(outcome)

    def fail(self) -> None:
        held, self.held = self.held, []
        for _, on_done in held:
            on_done(Unavailable("CLUSTERDOWN no quorum", True))


class BlockedCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.replica = Replica()
        clients: Any = self.replica
        self.blocked = Blocked(clients, self.clock)
        self.got: dict[int, Any] = {}
        self.order: list[int] = []

    def wait(
        self, client: int, *keys: bytes, timeout_s: float = 0, database: int = 0, same: bool = True
    ) -> None:
        """The client waits for elements; `same`: with commands that may take what others popped."""
        command = [b"POP", b"%d" % database, *keys]
        wish = Wish(command, database, command, keys, "list", tuple(command) if same else None)
        self.assertNotIn(client, self.got)

        def done(replies: Sequence[Any]) -> None:
            self.assertNotIn(client, self.got, "told once")
            self.got[client] = replies[0] if replies else "gone"
            self.order.append(client)

        self.blocked.wait(client, wish, self.replica.submit, done, timeout_s, 0)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.replica.run()

    def tearDown(self) -> None:
        """Whoever waits is registered, and nobody else."""
        self.assertEqual(len(self.blocked.names) > 0, len(self.blocked) > 0)
        self.assertEqual(len(self.replica.observers), int(len(self.blocked) > 0))


class WaitingTests(BlockedCase):
    def test_interface(self) -> None:
        verifyObject(IObserver, self.blocked)

    def test_what_is_there_comes_at_once(self) -> None:
        self.replica.push(b"0:a", b"x")
        self.wait(1, b"a")
        self.assertEqual(self.got, {})
        self.replica.run()
        self.assertEqual((self.got, self.replica.submitted), ({1: [b"0:a", b"x"]}, 1))

    def test_first_come_first_served(self) -> None:
        for client in range(5):
            self.wait(client, b"a")
        self.replica.run()
        self.assertEqual((self.got, len(self.blocked)), ({}, 5))
        for element in (b"x", b"y", b"z"):
            self.replica.push(b"0:a", element)
            self.replica.run()
        self.assertEqual(self.order, [0, 1, 2])
        self.assertEqual(self.got[1], [b"0:a", b"y"])
        self.replica.push(b"0:a", b"1", b"2", b"3")
        self.replica.run()
        self.assertEqual(self.order, [0, 1, 2, 3, 4])
        self.assertEqual(self.replica.lists[b"0:a"], [b"3"])

    def test_no_more_pops_than_elements(self) -> None:
        for client in range(100):
            self.wait(client, b"a")
        self.replica.run()
        self.assertEqual(self.replica.submitted, 100)
        self.replica.push(b"0:a", b"x", b"y")
        self.assertEqual(self.replica.submitted, 102)
        self.replica.push(b"0:a", b"z")
        self.assertEqual(self.replica.submitted, 103)
        self.replica.run()
        self.assertEqual((self.order, self.replica.submitted), ([0, 1, 2], 103))
        for client in range(3, 100):
            self.blocked.leave(client)

    def test_nothing_is_submitted_while_nothing_is_there(self) -> None:
        """The pops of other replicas write the key, too, and so does this one's own."""
        self.wait(1, b"a")
        self.replica.run()
        for _ in range(100):
            self.replica.tell_written([b"0:a"])
            self.replica.tell_written(None)
            self.advance(0.1)
        self.assertEqual(self.replica.submitted, 1)
        self.blocked.leave(1)

    def test_losers_keep_their_place(self) -> None:
        self.wait(1, b"a")
        self.wait(2, b"a")
        self.replica.run()
        self.replica.push(b"0:a", b"x")
        self.replica.pop(b"0:a")  # by another replica, before the pop of the first client
        self.replica.run()
        self.assertEqual(self.got, {})
        self.replica.push(b"0:a", b"y")
        self.replica.run()
        self.assertEqual(self.got, {1: [b"0:a", b"y"]})
        self.blocked.leave(2)

    def test_who_comes_later_overtakes_nobody(self) -> None:
        """The pop of the second client was proposed before the element was seen here, and brings it."""
        self.wait(1, b"a")
        self.replica.run()
        self.wait(2, b"a")
        self.replica.push(b"0:a", b"x")
        self.assertEqual(len(self.replica.held), 2)
        self.replica.run(1)
        self.assertEqual(self.got, {1: [b"0:a", b"x"]})
        self.replica.run()
        self.replica.push(b"0:a", b"y")
        self.replica.run()
        self.assertEqual(self.got[2], [b"0:a", b"y"])

    def test_another_command_keeps_what_it_brings(self) -> None:
        self.wait(1, b"a", b"b")
        self.replica.run()
        self.wait(2, b"a")
        self.wait(3, b"a", same=False)
        self.replica.push(b"0:a", b"x", b"y")
        self.replica.run(2)
        self.assertEqual(self.got, {2: [b"0:a", b"x"], 3: [b"0:a", b"y"]})
        self.blocked.leave(1)
        self.replica.run()

    def test_several_keys(self) -> None:
        self.wait(1, b"a", b"b", b"a")
        self.wait(2, b"b")
        self.replica.run()
        self.replica.push(b"0:b", b"x")
        self.replica.run()
        self.assertEqual(self.got, {1: [b"0:b", b"x"]})
        self.replica.push(b"0:a", b"y")
        self.assertEqual(self.replica.held, [])
        self.blocked.leave(2)

    def test_databases(self) -> None:
        self.wait(1, b"a", database=3)
        self.replica.run()
        self.replica.push(b"0:a", b"x")
        self.assertEqual(self.replica.held, [])
        self.replica.push(b"3:a", b"y")
        self.replica.run()
        self.assertEqual(self.got, {1: [b"3:a", b"y"]})

    def test_a_barrier_may_have_written_anything(self) -> None:
        self.wait(1, b"a")
        self.replica.run()
        self.replica.lists[b"0:a"] = [b"x"]
        self.replica.tell_written(None)
        self.replica.run()
        self.assertEqual(self.got, {1: [b"0:a", b"x"]})

    def test_an_error_is_told_to_its_client(self) -> None:
        self.wait(1, b"a")
        self.wait(2, b"a", b"wrong")
        self.replica.run(1)
        self.replica.lists[b"0:wrong"] = []
        self.replica.run()
        self.assertEqual({client: str(reply) for client, reply in self.got.items()}, {2: "WRONGTYPE"})
        self.blocked.leave(1)


class RaceTests(BlockedCase):
    def test_written_while_the_first_pop_is_under_way(self) -> None:
        """The outcome comes late: the pop has found nothing, and what came behind it was told already."""
        self.replica.is_late = True
        self.wait(1, b"a")
        self.replica.run()
        self.replica.push(b"0:a", b"x")
        self.assertEqual(self.replica.submitted, 1)
        self.replica.tell()
        self.assertEqual(self.replica.submitted, 2)
        self.replica.run()
        self.replica.tell()
        self.assertEqual(self.got, {1: [b"0:a", b"x"]})

    def test_the_state_cannot_be_seen(self) -> None:
        self.wait(1, b"a")
        self.replica.run()
        self.replica.is_whole = False
        self.replica.push(b"0:a", b"x")
        for _ in range(3):
            self.clock.advance(0.001)
        self.assertEqual(self.replica.submitted, 1)
        self.replica.is_whole = True
        self.advance(0.01)
        self.assertEqual(self.got, {1: [b"0:a", b"x"]})

    def test_timeout(self) -> None:
        self.wait(1, b"a", timeout_s=2)
        self.replica.run()
        self.advance(1.9)
        self.assertEqual(self.got, {})
        self.advance(0.2)
        self.assertEqual((self.got, type(self.got[1])), ({1: []}, NilArray))
        self.replica.push(b"0:a", b"x")
        self.assertEqual(self.replica.held, [])

    def test_timeout_during_the_first_pop(self) -> None:
        self.wait(1, b"a", timeout_s=1)
        self.wait(2, b"a", timeout_s=1)
        self.clock.advance(2)
        self.assertEqual(self.got, {})
        self.replica.lists[b"0:a"] = [b"x"]
        self.replica.run()
        self.assertEqual(self.got, {1: [b"0:a", b"x"], 2: []})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timeout_during_a_later_pop(self) -> None:
        self.wait(1, b"a", timeout_s=1)
        self.replica.run()
        self.replica.push(b"0:a", b"x")
        self.clock.advance(1)
        self.assertEqual(self.got, {})
        self.replica.run()
        self.assertEqual(self.got, {1: [b"0:a", b"x"]})

    def test_a_long_timeout_is_none(self) -> None:
        self.wait(1, b"a", timeout_s=1e15)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.blocked.leave(1)
        self.replica.run()

    def test_unblock(self) -> None:
        error = CommandError("UNBLOCKED")
        self.wait(1, b"a")
        self.assertFalse(self.blocked.unblock(2, error))
        self.assertTrue(self.blocked.unblock(1, error))
        self.assertEqual(self.got, {})  # its pop may bring something
        self.replica.run()
        self.assertEqual(self.got, {1: error})
        self.assertFalse(self.blocked.unblock(1, error))
        self.wait(3, b"a")
        self.replica.run()
        self.assertTrue(self.blocked.unblock(3, None))
        self.assertEqual(self.got[3], None)

    def test_unblocked_with_an_element(self) -> None:
        self.wait(1, b"a")
        self.replica.run()
        self.replica.push(b"0:a", b"x")
        self.assertTrue(self.blocked.unblock(1, CommandError("UNBLOCKED")))
        self.replica.run()
        self.assertEqual(self.got, {1: [b"0:a", b"x"]})

    def test_who_has_gone_pops_nothing(self) -> None:
        self.wait(1, b"a")
        self.replica.run()
        self.blocked.leave(1)
        self.blocked.leave(1)
        self.assertEqual(self.got, {1: "gone"})
        self.replica.push(b"0:a", b"x")
        self.replica.run()
        self.assertEqual(self.replica.lists[b"0:a"], [b"x"])

    def test_what_a_pop_of_one_who_has_gone_brings_goes_to_another(self) -> None:
        self.wait(1, b"a")
        self.replica.run()
        self.replica.push(b"0:a", b"x")
        self.wait(2, b"a")
        self.blocked.leave(1)
        self.assertFalse(self.blocked.unblock(1, None))
        self.replica.run(1)
        self.assertEqual(self.got, {2: [b"0:a", b"x"]})
        self.replica.run()
        self.assertEqual(self.got[1], "gone")

    def test_it_is_lost_where_nobody_else_waits(self) -> None:
        self.wait(1, b"a")
        self.blocked.leave(1)
        self.replica.lists[b"0:a"] = [b"x"]
        self.replica.run()
        self.assertEqual(self.got, {1: [b"0:a", b"x"]})

    def test_a_failure(self) -> None:
        """The next one is tried, because nobody knows whether the element is there."""
        self.wait(1, b"a")
        self.wait(2, b"a")
        self.replica.run()
        self.replica.push(b"0:a", b"x")
        self.replica.fail()
        self.assertEqual(str(self.got[1]), "CLUSTERDOWN no quorum")
        self.assertEqual(len(self.replica.held), 1)
        self.replica.run()
        self.assertEqual(self.got[2], [b"0:a", b"x"])

    def test_the_end(self) -> None:
        self.wait(1, b"a", timeout_s=1)
        self.wait(2, b"a")
        self.replica.run(1)
        self.blocked.leave(2)
        self.blocked.on_end("CLUSTERDOWN the replica takes the state of another one")
        self.assertTrue(str(self.got[1]).startswith("UNBLOCKED "))
        self.assertEqual(self.got[2], "gone")
        self.replica.lists[b"0:a"] = [b"x"]
        self.replica.run()
        self.assertEqual(len(self.got), 2)

    def settle(self) -> None:
        for _ in range(10):
            self.clock.advance(0)

    def test_many_are_looked_at_in_steps(self) -> None:
        count = 3 * LOOKED_AT_MAX
        for client in range(count):
            self.wait(client, b"a")
        self.replica.run()
        before = self.replica.submitted
        self.replica.push(b"0:a", *[b"x"] * count)
        self.assertEqual(self.replica.submitted, before + LOOKED_AT_MAX)
        self.replica.push(b"0:a", b"x")  # in the middle of it
        self.settle()
        self.assertEqual(self.replica.submitted, before + count)
        self.replica.run()
        self.assertEqual(self.order, list(range(count)))

    def test_names_without_elements_are_looked_at_in_steps(self) -> None:
        """As after FLUSHALL, of which nobody gets anything."""
        keys = [b"%d" % number for number in range(3 * LOOKED_AT_MAX)]
        self.wait(1, *keys)
        self.replica.run()  # which tells that its names were written
        self.settle()
        looked_at: list[bytes] = []
        elements = self.replica.elements

        def look(database: int, command: Command, key: bytes) -> int | None:
            looked_at.append(key)
            return elements(database, command, key)

        self.patch(self.replica, "elements", look)
        self.replica.tell_written(None)
        self.assertLessEqual(len(looked_at), LOOKED_AT_MAX)
        self.settle()
        self.assertEqual(looked_at, keys)

    def test_random(self) -> None:
        """No element is lost but to clients that have gone, none comes twice, and nobody waits for what is
        there; whoever waits with the same command is served in order."""
        for seed in range(300):
            self.setUp()
            self.play(Random(seed))
            self.tearDown()

    def play(self, random: Random) -> None:
        replica, pushed, popped, client = self.replica, 0, [], 0
        waiting: list[int] = []
        replica.is_late = random.random() < 0.3
        for _ in range(100):
            act = random.randrange(8)
            if act < 2:
                keys = random.choice([(b"a",), (b"b",), (b"a", b"b")])
                client += 1
                self.wait(client, *keys, timeout_s=random.choice([0, 0, 1]))
                waiting.append(client)
            elif act == 2:
                for _ in range(random.randrange(1, 4)):
                    pushed += 1
                    replica.push(random.choice([b"0:a", b"0:b"]), b"%d" % pushed)
            elif act == 3:
                name = random.choice([b"0:a", b"0:b"])
                if replica.lists.get(name):
                    popped.append(replica.pop(name))
            elif act == 4:
                replica.run(random.randrange(4))
            elif act == 5:
                self.clock.advance(random.random())
            elif act == 6:
                replica.tell()
            elif waiting:
                one = random.choice(waiting)
                if random.random() < 0.5:
                    self.blocked.leave(one)
                else:
                    self.blocked.unblock(one, None)
        while replica.held or replica.late:
            replica.run()
            replica.tell()
            self.clock.advance(0)
        found = [reply[1] for reply in self.got.values() if isinstance(reply, list) and reply]
        left = [element for elements in replica.lists.values() for element in elements]
        self.assertEqual(sorted([*found, *popped, *left]), sorted(b"%d" % k for k in range(1, pushed + 1)))
        if left:
            names = {name for name, elements in replica.lists.items() if elements}
            self.assertTrue(names.isdisjoint(self.blocked.names), "somebody waits for what is there")
        for one in waiting:
            self.blocked.leave(one)
