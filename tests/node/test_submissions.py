"""Submissions: portions, who is told what, and when."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Command, CommandError, Outcome, Reply, Unavailable
from epaxos.node.submissions import NOT_REACHED, Submission
from tests.node.lab import Cluster

COMMANDS = [[b"%d" % number] for number in range(7)]


def submission(done: Callable[[Outcome], None] = lambda outcome: None) -> Submission:
    return Submission(COMMANDS, done, 5.0, 700)


def answer(portion: Submission, reply: Reply) -> None:
    portion.answer([reply] * len(portion.commands))


class PortionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.waiting: list[Submission] = []
        self.outcomes: list[Outcome] = []

    def split(self, count: int) -> None:
        whole = submission(self.outcomes.append)
        self.waiting.append(whole.split(count, 100, self.waiting.append))

    def test_one_after_the_other(self) -> None:
        """Each waits until the one before has run, because they become batches of their own."""
        for count, lengths in ((1, [7]), (2, [4, 3]), (3, [3, 3, 1]), (5, [2, 2, 2, 1]), (7, [1] * 7)):
            self.split(count)
            commands: list[Command] = []
            for length in lengths:
                (portion,) = self.waiting
                self.waiting.clear()
                self.assertEqual(self.outcomes, [])
                self.assertEqual(len(portion.commands), length)
                self.assertEqual((portion.deadline, portion.size_bytes), (5.0, 100))
                commands += portion.commands
                portion.answer([command[0] for command in portion.commands])
            self.assertEqual((commands, self.waiting), (COMMANDS, []))
            self.assertEqual(self.outcomes, [[command[0] for command in COMMANDS]])
            self.outcomes.clear()

    def test_portions_of_portions(self) -> None:
        self.split(2)
        first = self.waiting.pop()
        self.waiting.append(first.split(4, 50, self.waiting.append))
        for reply in (1, 2, 3, 4, 5):
            answer(self.waiting.pop(), reply)
        self.assertEqual((self.outcomes, self.waiting), ([[1, 2, 3, 4, 5, 5, 5]], []))

    def test_a_portion_that_failed(self) -> None:
        """The replies of what ran are not lost, and nothing behind it runs."""
        self.split(3)
        answer(self.waiting.pop(), 1)
        self.waiting.pop().answer(Unavailable("CLUSTERDOWN no quorum", True))
        ((*replies, a, b, c, d),) = self.outcomes
        self.assertEqual((replies, self.waiting), ([1, 1, 1], []))
        for error in (a, b, c, d):
            self.assertIsInstance(error, CommandError)
        self.assertEqual([str(a), str(b), str(c)], ["CLUSTERDOWN no quorum"] * 3)
        self.assertEqual(str(d), NOT_REACHED)


class AnswerTests(SynchronousTestCase):
    def test_a_broken_caller_harms_nobody(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0].submit([[b"k", b"x"]], lambda outcome: 1 // 0)  # type: ignore[arg-type]
        cluster.run(0.1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        later = cluster.submit(0, [b"k", b"y"])
        cluster.run(0.1)
        self.assertEqual((later, cluster.fatal), ([[b"xy"]], []))
