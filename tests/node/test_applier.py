"""A slow state machine: other work gets its turn, and nobody sees a batch in part."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from epaxos.interfaces import IStepwise, Outcome, Unavailable
from epaxos.node.applier import EXECUTE_S, EXECUTED_PER_TURN
from epaxos.protocol.values.messages import PreAcceptOK, ReadOK
from tests.defaults import default_batching
from tests.node.steps import LONG, STEP_S, StepLog, SteppedCase, WatchedLog


class GivingWayTests(SteppedCase):
    def test_interface(self) -> None:
        verifyObject(IStepwise, StepLog())

    def test_in_the_middle_of_a_batch(self) -> None:
        outcome = self.submit_long()
        self.assertLess(self.gaps(0.5), EXECUTE_S + STEP_S)
        self.assertEqual(outcome, [[b"x" * (k + 1) for k in range(LONG)]])
        self.assertEqual([len(batch) for batch in self.log.batches], [LONG])

    def test_between_batches(self) -> None:
        """A machine that cannot be interrupted, too, gets one batch at a time."""
        for log in (StepLog, WatchedLog):
            self.use(log, default_batching(commands_max=1, window=1000))
            outcomes = [self.cluster.submit(0, [b"%d" % k, b"x"]) for k in range(LONG)]
            self.assertLess(self.gaps(0.5), EXECUTE_S + STEP_S)
            self.assertEqual(outcomes, [[[b"x"]]] * LONG)

    def test_a_machine_without_steps(self) -> None:
        self.use(WatchedLog)
        outcomes = [self.submit_long(b"a", 10), self.cluster.submit(0, [b"a", b"y"])]
        self.cluster.run(0.5)
        self.assertEqual(outcomes[1], [[b"x" * 10 + b"y"]])
        self.assertEqual(outcomes[0], [[b"x" * (k + 1) for k in range(10)]])

    def test_quick_ones_need_no_turns_of_their_own(self) -> None:
        """Up to EXECUTED_PER_TURN quick batches are applied in one turn."""
        self.watch.step_s = 0.0
        self.use(StepLog, default_batching(commands_max=1, window=1000))
        self.watch.step_s = 0.0
        times: list[float] = []
        for k in range(100):
            self.cluster.nodes[0].submit(
                [[b"%d" % k, b"x"]], lambda _: times.append(self.cluster.clock.seconds())
            )
        self.cluster.run(0.5)
        self.assertEqual((len(times), len(set(times))), (100, 1))
        self.assertGreater(EXECUTED_PER_TURN, 100)

    def test_reads_in_steps(self) -> None:
        assert isinstance(self.log, StepLog)
        self.log.reading = 20
        outcomes = [self.cluster.submit(0, [b"?", b"k"]), self.cluster.submit(0, [b"?", b"j"])]
        self.assertLess(self.gaps(0.3), EXECUTE_S + STEP_S)
        self.assertEqual(outcomes, [[[None]], [[None]]])

    def test_tidying(self) -> None:
        """It comes after the answer, between other batches, and gives way."""
        assert isinstance(self.log, StepLog)
        self.log.tidying = 30
        answered: list[float] = []

        def submit(key: bytes) -> None:
            self.cluster.nodes[0].submit(
                [[key, b"x"]] * 5, lambda _: answered.append(self.cluster.clock.seconds())
            )

        for k in range(3):
            self.cluster.clock.callLater(0.02 * k, submit, b"%d" % k)
        self.assertLess(self.gaps(1), EXECUTE_S + 2 * STEP_S)
        self.assertEqual((len(answered), len(self.log.tidied)), (3, 90))
        self.assertLess(answered[0], self.log.tidied[0])
        self.assertLess(answered[2], self.log.tidied[-1])


class WholenessTests(SteppedCase):
    """Reads and other batches wait until a batch is whole."""

    def test_reads_without_an_instance(self) -> None:
        self.cluster.submit(0, [b"k", b"v"])
        self.cluster.run(0.1)
        self.submit_long()
        self.run_into_the_long_one()
        outcome = self.cluster.submit(0, [b"?", b"k"])
        for _ in range(20):
            self.step()
        self.assertIsNotNone(self.watch.begun)
        self.assertEqual(outcome, [])
        self.cluster.run(0.2)
        self.assertEqual(outcome, [[b"v"]])

    def test_a_read_does_not_wait_for_a_long_row_of_batches(self) -> None:
        self.cluster.submit(0, [b"k", b"v"])
        self.cluster.run(0.1)
        for k in range(20):
            self.submit_long(b"%d" % k, 10)
            self.cluster.clock.advance(0)
        self.run_into_the_long_one()
        outcome = self.cluster.submit(1, [b"?", b"k"])
        own: list[int] = []
        self.cluster.nodes[0].submit([[b"?", b"k"]], lambda _: own.append(len(self.log.batches)))
        self.cluster.run(1.5)
        self.assertEqual(outcome, [[b"v"]])
        self.assertEqual(len(self.log.batches), 21)
        (batches,) = own
        self.assertEqual(self.log.texts[b"19"], b"x" * 10)
        self.assertLess(batches, 21, "it comes after those that were proposed, and no others")

    def test_a_read_of_another_replica_comes_between_the_batches(self) -> None:
        """A read that names none of the many batches of replica 1 does not wait for them."""
        for k in range(20):
            self.cluster.submit(1, *[[b"%d" % k, b"x"]] * 10)
            self.cluster.clock.advance(0)
        self.run_into_the_long_one()
        done: list[int] = []
        self.cluster.nodes[0].submit([[b"?", b"other"]], lambda _: done.append(len(self.log.batches)))
        self.cluster.run(1.5)
        self.assertEqual(len(self.log.batches), 20)
        self.assertLess(done[0], 5)

    def test_a_read_sees_what_is_executed_and_not_applied(self) -> None:
        """A read that comes after some batches of replica 1 waits for these batches alone."""
        for k in range(10):
            self.cluster.submit(1, *[[b"%d" % k, b"x"]] * 5)
            self.cluster.clock.advance(0)
        self.run_into_the_long_one()
        outcomes = [self.cluster.submit(0, [b"?", b"%d" % k]) for k in range(10)]
        self.cluster.run(1)
        self.assertEqual(outcomes, [[[b"x" * 5]]] * 10)

    def test_a_read_that_came_before_is_not_overtaken(self) -> None:
        """A read that is ready when time is over must not see the own batch that follows."""
        assert isinstance(self.log, StepLog)
        self.log.reading = 3
        outcomes = []
        for k in range(6):
            outcomes += [self.cluster.submit(0, [b"?", b"k"]), self.cluster.submit(0, [b"?", b"j"])]
            self.cluster.clock.advance(0)
            self.submit_long(b"k", 2 + k)
            self.cluster.clock.advance(0)
        self.cluster.run(1)
        lengths = [len(outcome[0][0] or b"") for outcome in outcomes[::2]]  # type: ignore[index,arg-type]
        self.assertEqual(lengths, [0, 2, 5, 9, 14, 20])

    def hold_two_reads(self) -> list[list[Outcome]]:
        """Reads of j and of k, and an own batch that writes k, which become ready in this order.

        Each read takes long.
        """
        assert isinstance(self.log, StepLog)
        self.log.reading = 3
        self.cluster.held |= {ReadOK, PreAcceptOK}
        outcomes = []
        for command in ([b"?", b"j"], [b"?", b"k"], [b"k", b"x"]):
            outcomes.append(self.cluster.submit(0, command))
            self.cluster.run(0.01)
        self.cluster.release(ReadOK)
        self.run_into_the_long_one()
        self.cluster.release(PreAcceptOK)
        return outcomes

    def test_a_read_that_is_ready_is_not_overtaken(self) -> None:
        outcomes = self.hold_two_reads()
        self.cluster.run(0.3)
        self.assertEqual(outcomes, [[[None]], [[None]], [[b"x"]]])

    def test_reads_that_are_ready_are_told_of_a_failure(self) -> None:
        outcomes = self.hold_two_reads()
        self.cluster.nodes[0].fail("the disk is gone")
        self.cluster.fatal.clear()
        for outcome in outcomes:
            self.assertIsInstance(outcome[0], Unavailable)

    def test_reads_that_are_ready_are_told_in_time(self) -> None:
        self.use(StepLog, default_batching(request_timeout_s=0.2))
        outcomes = self.hold_two_reads()
        assert isinstance(self.log, StepLog)
        self.log.reading = 200
        self.cluster.run(0.5)
        self.assertEqual(outcomes[0], [[None]])
        self.assertIsInstance(outcomes[1][0], Unavailable)

    def test_other_batches(self) -> None:
        """Batches of other keys wait, too, because the state machine does one thing at a time."""
        self.submit_long(b"a")
        self.run_into_the_long_one()
        outcome = self.cluster.submit(0, [b"b", b"y"])
        barrier = self.cluster.submit(0, [b"!", b"!"])
        self.cluster.run(0.3)
        self.assertEqual((len(outcome), len(barrier)), (1, 1))
        self.assertEqual(self.log.batches[0], [b"a x"] * LONG)

    def test_a_failure_in_the_middle(self) -> None:
        outcome = self.submit_long()
        self.run_into_the_long_one()
        status = self.cluster.nodes[0].status(digest=True)
        read = self.cluster.submit(0, [b"?", b"long"])
        self.cluster.nodes[0].fail("the disk is gone")
        shown = self.successResultOf(status)
        self.assertEqual((shown["digest"], shown["running"]), (None, False))
        self.assertIsInstance(outcome[0], Unavailable)
        self.assertIsInstance(read[0], Unavailable)
        self.cluster.run(0.3)
        self.assertEqual(len(outcome), 1)
        self.assertEqual(self.cluster.fatal, ["the disk is gone"])
        self.cluster.fatal.clear()

    def test_a_batch_that_turns_out_to_be_foreign_in_the_middle(self) -> None:
        for wanted in (5, 0):
            self.use(StepLog)
            run = self.log.run
            self.log.run = lambda batch, run=run: run(  # type: ignore[method-assign]
                batch._replace(payload=b"poison") if batch.payload == b"k bad" else batch
            )
            commands = [[b"k", b"x"]] * wanted + [[b"k", b"bad"]]
            outcome = self.cluster.submit(0, *commands)
            self.cluster.run(0.2)
            self.assertEqual(self.cluster.fatal, ["a committed batch cannot be applied: poison"])
            self.assertIsInstance(outcome[0], Unavailable)
            self.assertEqual(self.cluster.disks[0].checkpoints(), [])
            self.cluster.fatal.clear()

    def test_one_that_waits_long_for_its_turn_is_told_in_time(self) -> None:
        """A batch that is applied in part does not delay time-outs."""
        self.use(StepLog, default_batching(request_timeout_s=0.2))
        long = self.submit_long(b"long", 200)
        self.run_into_the_long_one()
        late = self.cluster.submit(0, [b"k", b"x"])
        self.cluster.run(0.35)
        for outcome in (long, late):
            self.assertIsInstance(outcome[0], Unavailable)
        self.cluster.run(1)
        self.assertEqual((len(long), len(late)), (1, 1))
        self.assertEqual(self.log.texts, {b"long": b"x" * 200, b"k": b"x"})
