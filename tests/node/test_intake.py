"""Commands in parts: who is told what, and when."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Outcome, Unavailable
from epaxos.node.intake import split

COMMANDS = [[b"%d" % number] for number in range(7)]


class PartsTests(SynchronousTestCase):
    def test_all_are_there_in_order(self) -> None:
        for count, lengths in ((1, [7]), (2, [4, 3]), (3, [3, 3, 1]), (5, [2, 2, 2, 1]), (7, [1] * 7)):
            parts = split(COMMANDS, lambda outcome: None, count)
            self.assertEqual([len(commands) for commands, _ in parts], lengths)
            self.assertEqual([command for commands, _ in parts for command in commands], COMMANDS)

    def test_answered_once_all_are(self) -> None:
        outcomes: list[Outcome] = []
        parts = split(COMMANDS, outcomes.append, 3)
        for commands, done in reversed(parts):
            self.assertEqual(outcomes, [])
            done([command[0] for command in commands])
        self.assertEqual(outcomes, [[command[0] for command in COMMANDS]])

    def test_parts_of_parts(self) -> None:
        outcomes: list[Outcome] = []
        (first, first_done), (second, second_done) = split(COMMANDS, outcomes.append, 2)
        second_done([2] * len(second))
        for commands, done in split(first, first_done, 4):
            done([1] * len(commands))
        self.assertEqual(outcomes, [[1] * 4 + [2] * 3])

    def test_a_part_that_failed(self) -> None:
        """Each command has its own answer: the replies of what ran are not lost."""
        outcomes: list[Outcome] = []
        (_, first), (_, second) = split(COMMANDS, outcomes.append, 2)
        second(Unavailable("CLUSTERDOWN no quorum", True))
        first([0, 1, 2, 3])
        ((*replies, a, b, c),) = outcomes
        self.assertEqual(replies, [0, 1, 2, 3])
        for error in (a, b, c):
            self.assertIsInstance(error, CommandError)
            self.assertEqual(str(error), "CLUSTERDOWN no quorum")
