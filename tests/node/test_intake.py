"""What one batch takes of the commands that wait."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Outcome, Unavailable
from epaxos.node.intake import Intake
from epaxos.node.submissions import Submission
from epaxos.protocol.values.messages import PreAccept
from tests.defaults import default_batching
from tests.node.lab import Cluster, Log


class IntakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.outcomes: dict[bytes, Outcome] = {}

    def intake(self, **limits: int) -> Intake:
        return Intake(Log(), default_batching(**limits), None)

    def submission(self, key: bytes, commands: int = 1, deadline: float = 1.0, size: int = 10) -> Submission:
        def done(outcome: Outcome) -> None:
            self.outcomes[key] = outcome

        return Submission([[key, b"x"]] * commands, done, deadline, size)

    def taken(self, intake: Intake) -> list[bytes]:
        taken = intake.take()
        assert taken is not None
        return [bytes(submission.commands[0][0]) for submission in taken[1]]

    def test_first_in_first_out(self) -> None:
        intake = self.intake(commands_max=3)
        self.assertFalse(intake.queue)
        for key in (b"a", b"b"):
            intake.add(self.submission(key, 2))
        intake.add(self.submission(b"c"))
        self.assertEqual((len(intake.queue), intake.commands), (3, 5))
        self.assertEqual([self.taken(intake), self.taken(intake)], [[b"a"], [b"b", b"c"]])
        self.assertEqual((len(intake.queue), intake.commands), (0, 0))

    def test_a_large_submission_is_a_batch_of_its_own(self) -> None:
        for limits in ({"commands_max": 2}, {"bytes_max": 20}):
            intake = self.intake(**limits)
            for key in (b"a", b"b"):
                intake.add(self.submission(key, 5, size=50))
            self.assertEqual([self.taken(intake), self.taken(intake)], [[b"a"], [b"b"]])

    def test_what_is_added_first_keeps_its_order(self) -> None:
        intake = self.intake()
        intake.add(self.submission(b"c"))
        intake.add_first([self.submission(b"a"), self.submission(b"b")])
        self.assertEqual(self.taken(intake), [b"a", b"b", b"c"])

    def test_overdue(self) -> None:
        """Only the front of the queue is looked at, because what waits behind came later."""
        intake = self.intake()
        for key, deadline in ((b"a", 1.0), (b"b", 2.0), (b"c", 3.0)):
            intake.add(self.submission(key, deadline=deadline))
        intake.refuse_overdue(0.9, "late")
        self.assertEqual(self.outcomes, {})
        intake.refuse_overdue(2.0, "late")
        self.assertEqual(sorted(self.outcomes), [b"a", b"b"])
        self.assertEqual(self.taken(intake), [b"c"])

    def test_a_caller_that_asks_again_while_all_are_refused(self) -> None:
        """The new submission waits; the others are refused all the same."""
        intake = self.intake()
        again = self.submission(b"again")
        intake.add(Submission([[b"a", b"x"]], lambda _: intake.add(again), 1.0, 10))
        intake.add(self.submission(b"b"))
        intake.refuse_all("stops")
        refused = self.outcomes[b"b"]
        assert isinstance(refused, Unavailable)
        self.assertEqual((str(refused), refused.may_have_run), ("stops", False))
        self.assertEqual(self.taken(intake), [b"again"])


class ClusterTests(SynchronousTestCase):
    def test_what_comes_in_one_turn_is_one_batch(self) -> None:
        cluster = Cluster().start()
        outcomes = [cluster.submit(0, [b"k", b"%d" % k]) for k in range(5)]
        cluster.run(0.1)
        self.assertEqual(outcomes, [[[b"01234"[: k + 1]]] for k in range(5)])
        self.assertEqual(len(cluster.logs[2].batches), 1)

    def test_batches_are_bounded(self) -> None:
        cluster = Cluster(default_batching(commands_max=4)).start()
        for _ in range(5):
            cluster.submit(0, [b"k", b"x"], [b"k", b"y"])
        cluster.run(0.1)
        self.assertEqual([len(batch) for batch in cluster.logs[1].batches], [4, 4, 2])

    def test_batches_fit_the_transport(self) -> None:
        """Commands that the transport cannot carry together go in several batches, whatever their stated
        sizes; the replies come together, in order."""
        for stated in (0, 20, 90, 10_000):
            cluster = Cluster(batch_bytes_max=120).start()
            outcomes: list[list[Outcome]] = [[] for _ in range(4)]
            for outcome in outcomes:
                commands = [[b"k", b"%03d" % k] for k in range(10)]
                cluster.nodes[0].submit(commands, outcome.append, stated)
            cluster.run(0.2)
            text = b"".join(b"%03d" % k for k in range(10)) * 4
            replies = [text[: 3 * k + 3] for k in range(40)]
            self.assertEqual(outcomes, [[replies[start : start + 10]] for start in range(0, 40, 10)])
            sent = [m for send in cluster.wires[0].sends for _, m in send if isinstance(m, PreAccept)]
            self.assertLessEqual(max(message.batch.size_bytes for message in sent), 120)

    def test_a_command_that_no_batch_holds(self) -> None:
        """The command is refused before anything is proposed; the commands that came with it run."""
        cluster = Cluster(batch_bytes_max=120).start()
        alone = cluster.submit(0, [b"k", b"x" * 200])
        among = cluster.submit(0, [b"k", b"a"], [b"k", b"x" * 200], [b"k", b"b"])
        cluster.run(0.1)
        (replies,) = among
        self.assertEqual((replies[0], replies[2]), (b"a", b"ab"))
        for refusal in (alone[0][0], replies[1]):
            self.assertIsInstance(refusal, CommandError)
            self.assertEqual(
                str(refusal),
                "ERR the command is too large: 224 bytes, and no more than 120 are carried between replicas",
            )
        self.assertEqual(cluster.logs[2].texts, {b"k": b"ab"})
