"""The choices of a recovery, as tables of cases: each row names the rule that it shows.

The rules are those of EPaxos* (arXiv 2511.02743), section 4 (docs: protocol/rules, "Recovery"); 4n and 5n
are those of docs: protocol/fast-path.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.coordinators.choice import (
    AskToValidate,
    Choice,
    Learn,
    Member,
    Propose,
    WaitFor,
    choose,
    choose_after_validation,
    choose_after_wait,
    choose_late,
)
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch, Conflict, Phase, RecoverOK
from epaxos.protocol.values.quorums import Quorums
from tests.protocol.lab import write

ID = InstanceId(0, 1)
C = write("x", payload="c")
FIVE, SEVEN = Quorums.of(Epoch.first(5)), Quorums.of(Epoch.first(7))
THREE, FOUR = Quorums.of(Epoch.first(3)), Quorums.of(Epoch.first(4))
NONE: Deps = (0, 0, 0, 0, 0)
D0: Deps = (0, 0, 0, 1, 0)
MORE: Deps = (0, 0, 2, 1, 0)


def answer(
    phase: Phase = Phase.INITIAL,
    *,
    abal: int = 0,
    batch: Batch | None = None,
    deps: Deps = NONE,
    init: Deps | None = None,
    named: tuple[int, ...] = (),
) -> RecoverOK:
    """What a replica answers to the Recover of ID at ballot 11."""
    return RecoverOK(ID, 11, abal, phase, batch, deps, init, named)


UNKNOWN = answer()
VOTE = answer(Phase.PREACCEPTED, batch=C, deps=D0, init=D0)
OTHER = answer(Phase.PREACCEPTED, batch=C, deps=MORE, init=D0)
COMMITTED = answer(Phase.COMMITTED, abal=3, batch=C, deps=MORE, init=D0)
ACCEPTED = answer(Phase.ACCEPTED, abal=6, batch=C, deps=MORE, init=D0)
OLDER = answer(Phase.ACCEPTED, abal=2, batch=NOP)
VALIDATED = AskToValidate("4", C, D0, 2)


def nop(rule: str, n: int = 5) -> Propose:
    return Propose(rule, NOP, (0,) * n)


class ChooseTests(SynchronousTestCase):
    """RecoverOK from Q.  n = 5: |Q| >= n-f = 3, e = 2.  n = 7: |Q| >= 4, e = 2."""

    def check(self, quorums: Quorums, rows: list[tuple[str, Mapping[int, RecoverOK], Choice]]) -> None:
        """Check each row for every order of the answers."""
        for text, answers, expected in rows:
            for order in permutations(answers.items()):
                self.assertEqual(choose(quorums, ID, dict(order)), expected, text)

    def test_rules_1_to_3(self) -> None:
        learnt, again = Learn("1", 4, COMMITTED), Propose("2", C, MORE)
        self.check(
            FIVE,
            [
                ("1: any is committed", {2: UNKNOWN, 3: UNKNOWN, 4: COMMITTED}, learnt),
                ("1 before 2: a later ballot accepted", {2: ACCEPTED, 3: UNKNOWN, 4: COMMITTED}, learnt),
                ("1 before 3: the leader in Q", {0: VOTE, 3: UNKNOWN, 4: COMMITTED}, learnt),
                ("2: one in U is accepted", {1: UNKNOWN, 2: UNKNOWN, 3: ACCEPTED}, again),
                ("2: U are those with the highest abal", {1: UNKNOWN, 2: OLDER, 3: ACCEPTED}, again),
                ("2 before 3: the leader in Q", {0: UNKNOWN, 2: UNKNOWN, 3: ACCEPTED}, again),
                ("2 before 4: as many votes as rule 4 needs", {1: VOTE, 2: VOTE, 3: OLDER}, nop("2")),
                ("2: an accepted NOP", {1: UNKNOWN, 2: UNKNOWN, 3: OLDER}, nop("2")),
                ("3: the leader in Q", {0: UNKNOWN, 2: UNKNOWN, 3: UNKNOWN}, nop("3")),
                ("3 before 4: the leader in Q, and votes", {0: VOTE, 2: VOTE, 3: VOTE}, nop("3")),
            ],
        )

    def test_rules_4_and_5(self) -> None:
        def validate(votes: int) -> AskToValidate:
            return AskToValidate("4", C, D0, votes)

        self.check(
            FIVE,
            [
                ("4: |R| = |Q|-e", {1: VOTE, 2: UNKNOWN, 3: OTHER}, validate(1)),
                ("4: |R| > |Q|-e", {1: VOTE, 2: VOTE, 3: OTHER}, validate(2)),
                ("4: Q is larger", {1: VOTE, 2: VOTE, 3: OTHER, 4: UNKNOWN}, validate(2)),
                ("5: Q is larger, |R| < |Q|-e", {1: VOTE, 2: OTHER, 3: OTHER, 4: UNKNOWN}, nop("5")),
                ("5: nobody knows it", {1: UNKNOWN, 2: UNKNOWN, 3: UNKNOWN}, nop("5")),
                ("5: R are those with dep = init_dep", {1: OTHER, 2: OTHER, 3: OTHER}, nop("5")),
            ],
        )

    def test_rules_4_and_5_of_seven(self) -> None:
        none = (0,) * 7
        vote = answer(Phase.PREACCEPTED, batch=C, deps=none, init=none)
        two: dict[int, RecoverOK] = {1: vote, 2: vote, 3: UNKNOWN, 4: UNKNOWN}
        self.check(
            SEVEN,
            [
                ("4: |R| = |Q|-e = 2", two, AskToValidate("4", C, none, 2)),
                ("5: |R| = 1", {**two, 2: UNKNOWN}, nop("5", 7)),
            ],
        )

    def test_rules_of_a_named_fast_quorum(self) -> None:
        """f = 1: without the leader, Q is all other replicas."""

        def named(deps: Deps, *members: int) -> RecoverOK:
            return answer(Phase.PREACCEPTED, batch=C, deps=deps, init=(0,) * len(deps), named=members)

        mine, its = named((0, 0, 4, 1), 1, 2), named((0, 3, 0, 2), 1, 2)
        self.check(
            THREE,
            [
                ("4n: the named one", {1: named((0, 2, 0), 1), 2: UNKNOWN}, Propose("4n", C, (0, 2, 0))),
                (
                    "4n: the named one's answer, not the other's",
                    {1: named((0, 2, 0), 1), 2: named((0, 2, 5), 1)},
                    Propose("4n", C, (0, 2, 0)),
                ),
                ("5n: the other one alone", {1: UNKNOWN, 2: named((0, 2, 0), 1)}, nop("5n", 3)),
                ("5n: nobody knows it", {1: UNKNOWN, 2: UNKNOWN}, nop("5n", 3)),
                ("3 before 4n: the leader in Q", {0: UNKNOWN, 1: named((0, 2, 0), 1)}, nop("3", 3)),
            ],
        )
        self.check(
            FOUR,
            [
                ("4n: the max of all of S", {1: mine, 2: its, 3: UNKNOWN}, Propose("4n", C, (0, 3, 4, 2))),
                ("5n: one of S alone", {1: mine, 2: UNKNOWN, 3: its}, nop("5n", 4)),
            ],
        )


class ValidationTests(SynchronousTestCase):
    """ValidateOK from Q = {1, 2, 3} of five: |Q|-e = 1."""

    def test_rules(self) -> None:
        inside, outside = InstanceId(2, 7), InstanceId(4, 1)
        open_in, open_out = Conflict(inside, False), Conflict(outside, False)
        few, many = VALIDATED._replace(votes=1), VALIDATED
        yes, no = Propose("validation 1", C, D0), nop("validation 2")
        rows: list[tuple[str, AskToValidate, tuple[Conflict, ...], Choice]] = [
            ("1: I is empty", few, (), yes),
            ("2: a member is committed", many, (open_in, Conflict(outside, True)), no),
            ("2: |R| = |Q|-e, a member's leader outside Q", few, (open_in, open_out), no),
            ("3: |R| = |Q|-e, all leaders in Q", few, (open_in,), WaitFor("validation 3", (inside,))),
            ("3: |R| > |Q|-e, a leader outside Q", many, (open_out,), WaitFor("validation 3", (outside,))),
            (
                "3: the members sorted, each once",
                many,
                (open_out, open_in, open_out),
                WaitFor("validation 3", (inside, outside)),
            ),
        ]
        for text, validated, conflicts, expected in rows:
            for at in (1, 2, 3):  # each of Q may report them
                answers: dict[int, tuple[Conflict, ...]] = {1: (), 2: (), 3: (), at: conflicts}
                self.assertEqual(choose_after_validation(FIVE, validated, answers), expected, text)


class WaitTests(SynchronousTestCase):
    """Validation rule 3: what ends a wait."""

    def test_members(self) -> None:
        open, conflicts, excludes, harmless = Member
        yes, no = Propose("validation 3", C, D0), nop("validation 3")
        rows: list[tuple[tuple[Member, ...], Propose | None]] = [
            ((open,), None),
            ((harmless,), yes),
            ((conflicts,), no),
            ((excludes,), no),
            ((harmless, harmless), yes),
            ((harmless, open), None),
            ((open, conflicts), no),
            ((open, excludes), no),
            ((harmless, conflicts), no),
        ]
        for members, expected in rows:
            for order in permutations(members):
                self.assertEqual(choose_after_wait(FIVE, VALIDATED, order), expected, str(order))

    def test_late_answers(self) -> None:
        """From outside Q."""
        rows: list[tuple[str, int, RecoverOK, Choice | None]] = [
            ("a commit", 4, COMMITTED, Learn("validation 3", 4, COMMITTED)),
            ("a commit, of the leader", 0, COMMITTED, Learn("validation 3", 0, COMMITTED)),
            ("an accepted value", 4, ACCEPTED, Propose("validation 3", C, MORE)),
            ("the leader, which has not committed", 0, VOTE, nop("validation 3")),
            ("the leader, which has forgotten it", 0, UNKNOWN, nop("validation 3")),
            ("another vote", 4, VOTE, None),
            ("a replica that does not know it", 4, UNKNOWN, None),
        ]
        for text, sender, late, expected in rows:
            self.assertEqual(choose_late(FIVE, ID, sender, late), expected, text)
