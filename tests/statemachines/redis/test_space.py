"""What handlers see of the keys: deadlines, types, copies, and changes that are taken back."""

from __future__ import annotations

from collections.abc import Container

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError
from epaxos.statemachines.redis.entries import PREFIX
from epaxos.statemachines.redis.marks import Owner
from epaxos.statemachines.redis.moment import Everything, Moment
from epaxos.statemachines.redis.names import name_of
from epaxos.statemachines.redis.space import Due, Space
from epaxos.statemachines.redis.state import State
from epaxos.statemachines.redis.values import Collection


class Bag(Collection):
    """A collection of bytes."""

    __slots__ = ("items",)
    type_name = "bag"
    letter = b"b"

    def __init__(self) -> None:
        super().__init__()
        self.items: list[bytes] = []

    def __len__(self) -> int:
        return len(self.items)

    def copy(self) -> Bag:
        copied = Bag()
        copied.items = list(self.items)
        return copied


class Other(Bag):
    __slots__ = ()


class SpaceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = State(1024)

    def at(self, now_ms: int, writes: Container[bytes] | None = None, database: int = 0) -> Space:
        return Space(self.state, Moment(now_ms, 7, Everything() if writes is None else writes), database)

    def held(self, database: int = 0) -> dict[bytes, object]:
        return dict(self.state.databases[database].entries())


class DeadlineTests(SpaceCase):
    def setUp(self) -> None:
        super().setUp()
        self.at(100).set(b"k", b"v", 200)

    def test_before_and_at_the_deadline(self) -> None:
        self.assertEqual(self.at(199).get(b"k"), b"v")
        self.assertEqual(self.at(199).deadline(b"k"), 200)
        self.assertIsNone(self.at(200).get(b"k"))
        self.assertEqual(self.held(), {}, "a batch that writes the key removes it")

    def test_who_only_reads_never_says_that_it_is_gone(self) -> None:
        space = self.at(200, ())
        for look in (space.get, space.string, space.exists, space.pop):
            due = self.assertRaises(Due, look, b"k")
            self.assertEqual((due.database, due.key, due.deadline_ms), (0, b"k", 200))
        self.assertEqual(space.due_at(b"k"), 200)
        self.assertIsNone(self.at(199, ()).due_at(b"k"))
        self.assertEqual(self.at(199, ()).get(b"k"), b"v", "a later command of an earlier time sees it")

    def test_names_of_the_batch_decide(self) -> None:
        self.at(100, database=3).set(b"k", b"v", 200)
        self.assertRaises(Due, self.at(200, {b"k"}, 3).get, b"k")
        self.assertIsNone(self.at(200, {name_of(3, b"k")}, 3).get(b"k"))
        self.assertEqual(self.held(3), {})

    def test_what_becomes_of_it(self) -> None:
        """A new value drops the deadline, a changed one keeps it."""
        space = self.at(150)
        space.put(b"k", b"w")
        self.assertEqual((space.get(b"k"), space.deadline(b"k")), (b"w", 200))
        space.expire(b"k", 300)
        self.assertEqual(space.deadline(b"k"), 300)
        space.expire(b"k", None)
        self.assertEqual((space.get(b"k"), space.deadline(b"k")), (b"w", None))
        space.expire(b"k", 300)
        space.set(b"k", b"x")
        self.assertIsNone(space.deadline(b"k"))
        space.expire(b"none", 300)
        self.assertIsNone(space.get(b"none"))

    def test_a_deadline_that_has_come_removes(self) -> None:
        space = self.at(150)
        space.expire(b"k", 150)
        space.set(b"l", b"v", 149)
        self.assertEqual(self.held(), {})

    def test_a_changed_key_that_was_due_has_none(self) -> None:
        self.at(200).put(b"k", b"w")
        self.assertEqual(self.held(), {b"k": b"w"})

    def test_removal_if_exactly_this_deadline_stands(self) -> None:
        space = self.at(0)
        self.assertFalse(space.remove_due(b"k", 199))
        self.assertFalse(space.remove_due(b"none", 200))
        self.assertTrue(space.remove_due(b"k", 200), "whatever the time of the batch")
        self.assertFalse(space.remove_due(b"k", 200))

    def test_who_waits_is_told(self) -> None:
        told: list[tuple[int, bytes, int]] = []
        self.state.on_deadline = lambda *place: told.append(place)
        self.at(100, database=2).set(b"a", b"v", 500)
        self.at(100).expire(b"k", 600)
        self.assertEqual(told, [(2, b"a", 500), (0, b"k", 600)])


class CollectionTests(SpaceCase):
    def fill(self, space: Space, *items: bytes) -> Bag:
        bag = space.own(b"k", Bag)
        bag.items += items
        space.keep(b"k", bag)
        return bag

    def test_wrong_type(self) -> None:
        space = self.at(0)
        self.fill(space, b"a")
        space.set(b"s", b"text")
        for fails in (
            lambda: space.string(b"k"),
            lambda: space.typed(b"k", Other),
            lambda: space.own(b"k", Other),
            lambda: space.own(b"s", Bag),
            lambda: space.typed(b"s", Bag),
        ):
            self.assertIn("WRONGTYPE", str(self.assertRaises(CommandError, fails)))

    def test_changed_in_place_unless_a_snapshot_needs_it(self) -> None:
        space = self.at(0)
        first = self.fill(space, b"a")
        self.assertIs(self.fill(space, b"b"), first)
        snapshot = self.state.data.entries()
        second = self.fill(space, b"c")
        self.assertIsNot(second, first)
        self.assertIs(self.fill(space, b"d"), second, "one copy for each snapshot")
        ((_, taken),) = snapshot
        self.assertEqual(taken.items, [b"a", b"b"])  # type: ignore[union-attr]
        self.assertEqual(second.items, [b"a", b"b", b"c", b"d"])

    def test_deadline_stays_and_empty_ones_go(self) -> None:
        space = self.at(100)
        self.fill(space, b"a")
        space.expire(b"k", 200)
        bag = self.fill(space, b"b")
        self.assertEqual(space.deadline(b"k"), 200)
        bag.items.clear()
        space.keep_rest(b"k", bag)
        self.assertEqual(self.held(), {})

    def test_never_in_place_at_two_keys(self) -> None:
        """Not even in two databases whose dictionaries have the same generation."""
        space, other = self.at(0), self.at(0, database=1)
        bag = self.fill(space, b"a")
        for elsewhere, key in ((other, b"k"), (space, b"l")):
            elsewhere.set(key, bag)
            before = list(bag.items)
            changed = space.own(b"k", Bag)
            changed.items.append(b"b")
            space.keep(b"k", changed)
            self.assertEqual(elsewhere.own(key, Bag).items, before)
            bag = changed

    def test_a_change_in_place_is_told(self) -> None:
        space = self.at(0)
        self.fill(space, b"a")
        owner = Owner(0, b"1:1")
        self.state.watch(owner, [(0, b"k")])
        self.fill(space, b"b")
        self.assertFalse(self.state.take_mark(owner))

    def test_an_unkept_one_is_nothing(self) -> None:
        self.at(0).own(b"k", Bag)
        self.assertEqual(self.held(), {})


class UndoTests(SpaceCase):
    def test_everything_is_as_before(self) -> None:
        space, other = self.at(100), self.at(100, database=1)
        space.set(b"a", b"1")
        space.set(b"b", b"2", 500)
        bag = space.own(b"bag", Bag)
        bag.items.append(b"x")
        space.keep(b"bag", bag)
        other.set(b"o", b"3")
        before = (self.held(), self.held(1))
        snapshot = self.state.data.entries()
        savepoint = self.state.savepoint()
        space.set(b"a", b"9")
        space.set(b"new", b"9")
        space.pop(b"b")
        changed = space.own(b"bag", Bag)
        changed.items.append(b"y")
        space.keep(b"bag", changed)
        self.assertIs(space.own(b"bag", Bag), changed, "one copy for each journal")
        other.clear()
        other.set(b"o", b"7")
        space.clear()
        space.set(b"a", b"5")
        self.state.back_to(savepoint)
        self.state.release(savepoint)
        self.assertEqual((self.held(), self.held(1)), before)
        self.assertEqual(bag.items, [b"x"])
        space.set(b"a", b"later")
        self.assertEqual(dict(snapshot)[b"a"], b"1", "a snapshot still sees what was there")

    def test_changes_that_stand(self) -> None:
        savepoint = self.state.savepoint()
        self.at(0).set(b"a", b"1")
        self.state.release(savepoint)
        self.assertEqual(self.held(), {b"a": b"1"})

    def test_one_within_another(self) -> None:
        space = self.at(100)
        outer = self.state.savepoint()
        bag = space.own(b"bag", Bag)
        bag.items.append(b"x")
        space.keep(b"bag", bag)
        inner = self.state.savepoint()
        changed = space.own(b"bag", Bag)
        changed.items.append(b"y")
        space.keep(b"bag", changed)
        self.state.back_to(inner)
        self.state.release(inner)
        self.assertEqual(bag.items, [b"x"])
        self.assertIs(space.get(b"bag"), bag)
        self.state.back_to(outer)
        self.state.release(outer)
        self.assertEqual(self.held(), {})

    def test_fences_are_taken_back(self) -> None:
        first = self.state.fences.next(0, b"k", 1)
        savepoint = self.state.savepoint()
        again = self.state.fences.next(0, b"k", 1)
        self.state.back_to(savepoint)
        self.state.release(savepoint)
        self.assertEqual((self.state.fences.next(0, b"k", 1), again), (first + 1, first + 1))


class WatchTests(SpaceCase):
    def test_each_change_is_told(self) -> None:
        told: list[tuple[int, bytes]] = []
        space = self.at(100)
        space.set(b"due", b"v", 200)
        self.state.marks.on_write = lambda *place: told.append(place)  # type: ignore[method-assign]
        space.set(b"a", b"1")
        self.assertEqual(told, [], "nobody watches")
        self.state.is_watched = True
        space.set(b"a", b"1")
        space.pop(b"none")
        space.pop(b"a")
        self.at(200).get(b"due")
        self.at(0, database=1).set(b"b", b"1")
        self.state.marks.watch(Owner(1, b"life:5"), [(1, b"b"), (1, b"none"), (0, b"b")])
        self.at(0, database=1).clear()
        self.assertEqual(told, [(0, b"a"), (0, b"a"), (0, b"due"), (1, b"b"), (1, b"b")])


class ChanceTests(SynchronousTestCase):
    def test_the_seed_alone_decides(self) -> None:
        def row(seed: int) -> list[int]:
            moment = Moment(0, seed, ())
            return [moment.draw(10) for _ in range(1000)]

        self.assertEqual(row(5), row(5))
        self.assertNotEqual(row(5), row(6))
        self.assertEqual(set(row(5)), set(range(10)))
        counts = [row(5).count(number) for number in range(10)]
        self.assertGreater(min(counts), 60)
        self.assertEqual([Moment(0, 0, ()).draw(1) for _ in range(3)], [0, 0, 0])


class EntryTests(SpaceCase):
    def test_there_and_back(self) -> None:
        space = self.at(100)
        space.set(b"plain", b"v")
        space.set(b"due", b"v", 2**41)
        space.set(PREFIX + b"\0odd", b"looks like an entry of ours")
        space.set(b"\xff\xff", b"higher than ours")
        for number in (1, 15):
            self.at(100, database=number).set(b"plain", b"%d" % number)
        entries = dict(self.state.entries())
        self.assertEqual(entries[b"plain"], b"v", "as in the first versions")
        self.assertEqual(entries[b"\xff\xff"], b"higher than ours")
        again = State(1024)
        told: list[tuple[int, bytes, int]] = []
        again.on_deadline = lambda *place: told.append(place)
        again.restore([dict(list(entries.items())[:3]), dict(list(entries.items())[3:])])
        self.assertEqual(dict(again.entries()), entries)
        self.assertEqual(told, [(0, b"due", 2**41)])
        self.assertEqual(again.data.get(b"due"), (b"v", 2**41))
        self.assertEqual(len(again), 6)

    def test_of_a_later_version(self) -> None:
        for key, value in ((b"\0k", b"\x01" + bytes(8)), (b"\xffnew", b"x"), (b"\x10k", b"s" + bytes(8))):
            self.assertRaises(ValueError, State(1024).restore, [{PREFIX + key: value}])
