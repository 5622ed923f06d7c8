"""Submissions: portions, who is told what, and when."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Outcome, Reply, Unavailable
from epaxos.node.submissions import Submission
from tests.node.lab import Cluster

COMMANDS = [[b"%d" % number] for number in range(7)]


def submission(done: Callable[[Outcome], None] = lambda outcome: None) -> Submission:
    return Submission(COMMANDS, done, 5.0, 700)


def answer(portion: Submission, reply: Reply) -> None:
    portion.answer([reply] * len(portion.commands))


class PortionTests(SynchronousTestCase):
    def test_all_are_there_in_order(self) -> None:
        for count, lengths in ((1, [7]), (2, [4, 3]), (3, [3, 3, 1]), (5, [2, 2, 2, 1]), (7, [1] * 7)):
            portions = submission().split(count, 100)
            self.assertEqual([len(portion.commands) for portion in portions], lengths)
            self.assertEqual([command for portion in portions for command in portion.commands], COMMANDS)
            for portion in portions:
                self.assertEqual((portion.deadline, portion.size_bytes), (5.0, 100))

    def test_answered_once_all_are(self) -> None:
        outcomes: list[Outcome] = []
        portions = submission(outcomes.append).split(3, 100)
        for portion in reversed(portions):
            self.assertEqual(outcomes, [])
            portion.answer([command[0] for command in portion.commands])
        self.assertEqual(outcomes, [[command[0] for command in COMMANDS]])

    def test_portions_of_portions(self) -> None:
        outcomes: list[Outcome] = []
        first, second = submission(outcomes.append).split(2, 100)
        answer(second, 2)
        for portion in first.split(4, 100):
            answer(portion, 1)
        self.assertEqual(outcomes, [[1] * 4 + [2] * 3])

    def test_a_portion_that_failed(self) -> None:
        """Each command has its own answer: the replies of what ran are not lost."""
        outcomes: list[Outcome] = []
        first, second = submission(outcomes.append).split(2, 100)
        second.answer(Unavailable("CLUSTERDOWN no quorum", True))
        first.answer([0, 1, 2, 3])
        ((*replies, a, b, c),) = outcomes
        self.assertEqual(replies, [0, 1, 2, 3])
        for error in (a, b, c):
            self.assertIsInstance(error, CommandError)
            self.assertEqual(str(error), "CLUSTERDOWN no quorum")


class AnswerTests(SynchronousTestCase):
    def test_a_broken_caller_harms_nobody(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0].submit([[b"k", b"x"]], lambda outcome: 1 // 0)  # type: ignore[arg-type]
        cluster.run(0.1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        later = cluster.submit(0, [b"k", b"y"])
        cluster.run(0.1)
        self.assertEqual((later, cluster.fatal), ([[b"xy"]], []))
