"""Every invariant of the judge, kept and broken."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch
from epaxos.verify.judges.invariants import Invariants, interfere
from epaxos.verify.judges.place import place, places

A1, A2, B1, B2 = InstanceId(0, 1), InstanceId(0, 2), InstanceId(1, 1), InstanceId(1, 2)
NONE: Deps = (0, 0)


def batch(writes: str = "", reads: str = "", barrier: bool = False) -> Batch:
    """A batch that writes and reads keys of one letter."""
    return Batch(
        tuple(letter.encode() for letter in writes),
        tuple(letter.encode() for letter in reads),
        b"",
        1,
        barrier,
    )


X = batch("x")
Y = batch("y")


class Lab(SynchronousTestCase):
    def setUp(self) -> None:
        self.violations: list[str] = []
        self.ran: list[str] = []
        self.durable: list[Deps] = [NONE, NONE]
        self.judge = Invariants(2, self.violations.append, self.ran.append, lambda: self.durable)

    def commit(self, *decisions: tuple[InstanceId, Batch, Deps], replica: int = 0) -> None:
        for id, value, deps in decisions:
            self.judge.on_commit(replica, id, value, deps)

    def execute(self, *ids: InstanceId, replica: int = 0) -> None:
        for id in ids:
            self.judge.on_execute(replica, id, self.judge.decisions[id].batch)

    def apply(self, *ids: InstanceId) -> None:
        """Replica 0 executes and applies them."""
        for id in ids:
            self.execute(id)
            self.judge.on_applied(0, id, lambda: ())

    def assert_violated(self, text: str) -> None:
        """Exactly this violation was found."""
        self.assertEqual(len(self.violations), 1, self.violations)
        self.assertIn(text, self.violations[0])

    def assert_fine(self) -> None:
        self.assertEqual(self.violations, [])


class InterfereTests(SynchronousTestCase):
    def test_table(self) -> None:
        for a, b, expected in (
            (X, X, True),
            (X, Y, False),
            (X, batch(reads="x"), True),
            (batch(reads="x"), batch(reads="x"), False),
            (batch("a", "x"), batch("b", "x"), False),
            (batch("a", "x"), batch("x", "b"), True),
            (batch(barrier=True), batch(reads="x"), True),
            (batch(barrier=True), batch(barrier=True), True),
        ):
            self.assertIs(interfere(a, b), expected, (a, b))
            self.assertIs(interfere(b, a), expected, (b, a))


class CommitTests(Lab):
    def test_agreement(self) -> None:
        self.commit((A1, X, NONE))
        self.commit((A1, X, NONE), replica=1)
        self.assert_fine()

    def test_another_batch(self) -> None:
        self.commit((A1, X, NONE))
        self.commit((A1, NOP, NONE), replica=1)
        self.assert_violated("Agreement: 0.1")

    def test_other_dependencies(self) -> None:
        self.commit((A1, X, NONE))
        self.commit((A1, X, (0, 1)), replica=1)
        self.assert_violated("Agreement: 0.1")

    def test_visibility(self) -> None:
        self.commit((A1, X, NONE), (B1, X, (1, 0)), (B2, Y, NONE), (A2, NOP, NONE))
        self.assert_fine()

    def test_visibility_by_either_side(self) -> None:
        self.commit((A1, X, (0, 1)), (B1, X, NONE))
        self.assert_fine()

    def test_neither_names_the_other(self) -> None:
        self.commit((A1, X, NONE), (B1, X, NONE))
        self.assert_violated("Visibility: 1.1")

    def test_a_reader_and_a_writer(self) -> None:
        self.commit((A1, batch(reads="x"), NONE), (B1, X, NONE))
        self.assert_violated("Visibility")

    def test_a_barrier_and_anything(self) -> None:
        for first, second in ((batch(barrier=True), Y), (Y, batch(barrier=True))):
            self.setUp()
            self.commit((A1, first, NONE), (B1, second, NONE))
            self.assert_violated("Visibility")

    def test_what_all_have_executed_need_not_be_named(self) -> None:
        self.commit((A1, X, NONE))
        self.durable = [(1, 0), (1, 0)]
        self.commit((B1, X, NONE))
        self.assert_fine()

    def test_what_not_all_have_executed_must_be_named(self) -> None:
        self.commit((A1, X, NONE))
        self.durable = [(1, 0), (0, 0)]
        self.commit((B1, X, NONE))
        self.assert_violated("Visibility")


class OrderTests(Lab):
    def setUp(self) -> None:
        super().setUp()
        self.commit((A1, X, NONE), (B1, X, (1, 0)), (A2, batch(reads="x"), (1, 1)), (B2, Y, NONE))

    def test_the_same_everywhere_where_it_matters(self) -> None:
        self.execute(A1, B1, A2, B2)
        self.execute(B2, A1, B1, A2, replica=1)
        self.assert_fine()
        self.assertEqual(self.judge.sum(0), self.judge.sum(1))

    def test_two_writes_in_another_order(self) -> None:
        self.execute(A1, B1)
        self.execute(B1, replica=1)
        self.assert_violated("Order: write 1 of key b'x' is 1.1 at replica 1, but 0.1 elsewhere")

    def test_a_read_between_other_writes(self) -> None:
        self.execute(A1, B1, A2)
        self.execute(A1, A2, replica=1)
        self.assert_violated("Order: 0.2 reads key b'x' after 1 writes at replica 1, but after 2 elsewhere")

    def test_before_a_barrier_the_same_has_run(self) -> None:
        barrier = InstanceId(0, 3)
        self.commit((barrier, batch(barrier=True), (2, 2)))
        self.execute(A1, B1, B2, barrier)
        self.execute(A1, B1, barrier, replica=1)
        self.assert_violated("Order: what replica 1 ran before the barrier 0.3 differs")

    def test_twice(self) -> None:
        self.execute(B2)
        self.judge.on_execute(0, B2, Y)
        self.assertIn("replica 0 runs 1.2 twice", self.violations)

    def test_not_decided(self) -> None:
        self.judge.on_execute(0, B2, X)
        self.assertIn("which was not decided", self.violations[0])


class StateTests(Lab):
    def setUp(self) -> None:
        super().setUp()
        self.commit((A1, X, NONE), (B1, Y, NONE))
        self.execute(A1, B1)
        self.judge.on_state(0, lambda: [(b"x", b"1"), (b"y", b"2")])

    def test_equal_states(self) -> None:
        self.execute(B1, A1, replica=1)
        self.judge.on_state(1, lambda: [(b"y", b"2"), (b"x", b"1")])
        self.assert_fine()

    def test_another_state_after_the_same(self) -> None:
        self.execute(B1, A1, replica=1)
        self.judge.on_state(1, lambda: [(b"y", b"2"), (b"x", b"3")])
        self.assert_violated("Digest: replicas 1 and 0 ran the same instances and differ in the keys [b'x'")

    def test_another_state_after_something_else(self) -> None:
        self.execute(B1, replica=1)
        self.judge.on_state(1, lambda: [(b"y", b"2")])
        self.assert_fine()


class RestartTests(Lab):
    def setUp(self) -> None:
        super().setUp()
        self.commit((A1, X, NONE), (B1, X, (1, 0)), (A2, NOP, NONE))
        self.apply(A1, B1)

    def test_checkpoint_and_restart(self) -> None:
        self.judge.on_checkpoint(0, (2, 1), ())
        self.judge.on_restore(0, (2, 1), ())
        self.assert_fine()
        self.assertEqual(self.judge.executed(0), 2)

    def test_back_to_an_earlier_checkpoint(self) -> None:
        self.judge.on_checkpoint(0, (2, 1), ())
        self.commit((B2, X, (1, 1)))
        self.apply(B2)
        self.judge.on_restore(0, (2, 1), ())
        self.apply(B2)
        self.assert_fine()

    def test_back_to_the_beginning(self) -> None:
        self.judge.on_restore(0, NONE, ())
        self.apply(A1, B1)
        self.assert_fine()

    def test_a_checkpoint_that_claims_too_much(self) -> None:
        self.commit((B2, Y, NONE))
        self.judge.on_checkpoint(0, (2, 2), ())
        self.assert_violated("replica 0 has not run 1.2, and its checkpoint (2, 2) claims it")

    def test_a_checkpoint_that_claims_too_little(self) -> None:
        self.judge.on_checkpoint(0, (2, 0), ())
        self.assert_violated("replica 0 has run 1.1, and its checkpoint (2, 0) forgets it")

    def test_executed_beyond(self) -> None:
        self.judge.on_checkpoint(0, (2, 0), (B1,))
        self.assert_fine()

    def test_a_checkpoint_that_was_never_written(self) -> None:
        self.judge.on_restore(0, (1, 0), ())
        self.assert_violated("replica 0 starts at (1, 0) (), where it never was")

    def test_a_checkpoint_ahead_of_the_state(self) -> None:
        self.commit((B2, Y, NONE))
        self.execute(B2)
        self.judge.on_checkpoint(0, (2, 2), ())
        self.assert_violated("Wholeness: the checkpoint of replica 0 claims 1.2, and its state ends with 1.1")

    def test_a_checkpoint_after_a_restart(self) -> None:
        """The restored state ends with the instance that the checkpoint ended with."""
        self.judge.on_checkpoint(0, (2, 1), ())
        self.judge.on_restore(0, (2, 1), ())
        self.judge.on_checkpoint(0, (2, 1), ())
        self.judge.on_restore(0, NONE, ())
        self.judge.on_checkpoint(0, NONE, ())
        self.assert_fine()

    def test_a_look_at_a_part(self) -> None:
        self.judge.on_partial(0, B1, "a read")
        self.assert_violated("Wholeness: a read at replica 0 sees 1.1 applied in part")


class InstallTests(Lab):
    """Replica 1 takes the state of replica 0 in epoch 1, which R ended epoch 0 with."""

    def setUp(self) -> None:
        super().setUp()
        self.r, self.start = InstanceId(0, 2), places(1, NONE)
        self.commit((A1, X, NONE), (self.r, batch(barrier=True), (1, 0)))
        self.apply(A1)
        self.execute(self.r)
        self.judge.on_end(0, self.r)
        self.judge.on_checkpoint(0, self.start, ())
        self.judge.on_state(0, lambda: [(b"x", b"1")])

    def install(self, executed: Deps, end: InstanceId) -> None:
        self.judge.on_install(1, 0, executed, (), end)
        self.judge.on_restore(1, executed, ())

    def test_what_the_source_has_run_counts_as_run(self) -> None:
        self.install(self.start, self.r)
        self.judge.on_state(1, lambda: [(b"x", b"1")])
        later = place(1, B1)
        self.commit((later, X, self.start))
        self.execute(later, replica=1)
        self.assert_fine()
        self.assertEqual(self.judge.executed(1), 3)
        self.execute(A1, replica=1)
        self.assertIn("replica 1 runs 0.1 twice", self.violations)

    def test_another_state(self) -> None:
        self.install(self.start, self.r)
        self.judge.on_state(1, lambda: [(b"x", b"2")])
        self.assert_violated("Digest: replicas 1 and 0 ran the same instances")

    def test_the_order_of_the_source_goes_on(self) -> None:
        self.install(self.start, self.r)
        first, second = place(1, A1), place(1, B1)
        self.commit((first, X, self.start), (second, X, places(1, (1, 0))))
        self.execute(first, second)
        self.execute(second, replica=1)
        self.assert_violated("Order: write 2 of key b'x' is")

    def test_a_place_where_the_source_never_was(self) -> None:
        self.judge.on_install(1, 0, places(1, (1, 0)), (), self.r)
        self.assert_violated("Transfer: replica 1 takes the state at")

    def test_another_end(self) -> None:
        self.install(self.start, InstanceId(1, 1))
        self.assert_violated("Epochs: 1.1 ends an epoch at replica 0, and 0.2 at 0")


class CommandTests(Lab):
    def setUp(self) -> None:
        super().setUp()
        self.commit((A1, X, NONE), (A2, X, (1, 0)))

    def test_each_command_runs_once(self) -> None:
        self.judge.on_proposed(A1, ("c1", "c2"))
        self.judge.on_proposed(A2, ("c3",))
        self.execute(A1, A2)
        self.execute(A1, A2, replica=1)
        self.assert_fine()
        self.assertEqual(self.ran, ["c1", "c2", "c3"])

    def test_a_slot_used_twice(self) -> None:
        self.judge.on_proposed(A1, ("c1",))
        self.judge.on_proposed(A1, ("c2",))
        self.assert_violated("the slot of 0.1 was used for ('c1',), and again for ('c2',)")

    def test_a_command_in_two_instances(self) -> None:
        self.judge.on_proposed(A1, ("c1", "c2"))
        self.judge.on_proposed(A2, ("c2",))
        self.execute(A1, A2)
        self.assert_violated("the command c2 was run in 0.1 and in 0.2")
