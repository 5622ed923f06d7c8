"""The golden stories are what the code does, and a broken rule changes the story that tells of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import NOP
from epaxos.verify.mutants import catalogue
from tests.builds import plain_only
from tests.protocol.stories.__main__ import FOLDER, main
from tests.protocol.stories.judge import Judge
from tests.protocol.stories.notation import batch_of
from tests.protocol.stories.script import StoryError, rewritten
from tests.test_docs import CITED, cited_page, headings

STORIES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.txt"))}
MUTANTS = {mutant.name: mutant for mutant in catalogue.MUTANTS}

CHANGED_BY = {
    "fast-path-equal": ("small fast quorum", "early fast path", "own row above the slot"),
    "fast-path-named": ("fast path with D0", "vote adds nothing", "order of arrival"),
    "slow-path": ("unequal fast path", "slow path with D0", "small slow quorum", "early own AcceptOK"),
    "named-replica-silent": ("fast path of any answers", "named anew"),
    "recovery-1-committed": ("Commit refused", "early Commit, repeated"),
    "recovery-2-accepted": ("accepted value ignored", "PreAccept at any ballot", "Accept at any ballot"),
    "recovery-2-highest-ballot": ("one ballot variable", "any accepted value"),
    "recovery-3-leader-answers": ("no rule 3", "votes after a promise"),
    "recovery-4-validated": ("|R| too high", "no Validate", "Validate not remembered"),
    "recovery-5-no-votes": ("|R| of any answers",),
    "recovery-4n-named-answered": ("4n with D0",),
    "recovery-5n-named-silent": ("fast path of any answers",),
    "recovery-overtaken": ("Recover at any ballot", "Accept at any ballot", "votes of other ballots"),
    "validation-1-committed-names-it": ("committed, yet by init_dep", "latest only, in validation"),
    "validation-2-committed": ("no Validate", "Validate after Accept"),
    "validation-2-leader-outside": ("no Validate",),
    "validation-3-waiting": ("validation 2 for any |R|", "NOP counts as conflict"),
    "validation-3-member-names-it": ("never waiting", "uncommitted, yet by dep"),
    "waiting-deadlock": ("validation 2 for any leader", "Waiting for any |R|", "Waiting, |R| off by one"),
    "forgetful-leader": ("forgotten slots not named", "slot used again"),
    "promises-and-the-disk": ("early PreAcceptOK", "early Recover", "early RecoverOK", "early AcceptOK"),
    "restart-of-a-voter": (
        "promise forgotten in a restart",
        "first proposal forgotten in a restart",
        "named forgotten in a restart",
        "known, yet not named after a restart",
    ),
    "read": ("read by itself", "reads do not count"),
    "forgetting": ("own floor", "forgotten not named", "floor falls with a restart"),
}
"""Which mutants of the catalogue each story has to show."""


def outcome(story: str) -> str:
    """The story as the code tells it now, or why it cannot be told."""
    try:
        return rewritten(story)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class StoryTests(SynchronousTestCase):
    maxDiff = None

    def test_each_story_is_what_happens(self) -> None:
        for name, story in STORIES.items():
            self.assertEqual(rewritten(story), story, f"{name}: python -m tests.protocol.stories {name}")

    def test_each_story_says_which_rule_it_tells(self) -> None:
        for name, story in STORIES.items():
            self.assertTrue(story.startswith("# "), name)
            head = " ".join(line[2:] for line in story.splitlines() if line.startswith("# "))
            cited = CITED.findall(head)
            self.assertTrue(cited, name)
            for page, heading in cited:
                found = cited_page(page)
                assert found is not None, f"{name} cites {page}"
                self.assertTrue(not heading or heading in headings(found), f"{name} cites {heading}")

    @plain_only
    def test_a_broken_rule_changes_its_story(self) -> None:
        for name, mutants in CHANGED_BY.items():
            for mutant in mutants:
                with MUTANTS[mutant].applied():
                    self.assertNotEqual(outcome(STORIES[name]), STORIES[name], f"{mutant} in {name}")

    def test_each_broken_rule_of_recovery_changes_a_story(self) -> None:
        told = {mutant for mutants in CHANGED_BY.values() for mutant in mutants}
        for mutant in (*catalogue._RECOVERY, *catalogue._NAMED):
            self.assertIn(mutant.name, told)

    def test_what_is_written_anew_is_what_is_compared(self) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "read.txt")
            commands = [line for line in STORIES["read"].splitlines(True) if not line.startswith("    ")]
            path.write_text("".join(commands))
            self.assertEqual(main([], Path(folder)), 0)
            self.assertEqual(path.read_text(), STORIES["read"])


class ScriptTests(SynchronousTestCase):
    def test_a_bad_line_is_an_error_with_its_number(self) -> None:
        start = "# a story\nreplicas 3\n"
        for line, complaint in (
            ("propose 3 SET x a", "there is no replica 3"),
            ("propose 0 INCR x", "'INCR x' is neither"),
            ("propose 0 SET x", "'SET x' is neither"),
            ("propose one SET x a", "'one' is no number"),
            ("deliver", "'' is no selection"),
            ("deliver PreAccept", "'PreAccept' is no selection"),
            ("deliver Preaccept 0->1", "'Preaccept 0->1' is no selection"),
            ("deliver PreAccept 0->1", "there is no such message"),
            ("deliver PreAccept 0->1 0.1 0.2", "is no selection"),
            ("timeout 0 1", "'1' is no instance"),
            ("restart 0", "replica 0 is up"),
            ("replicas 3", "a story begins with `replicas`, and only once"),
            ("disk 0 sleeps", "is no command"),
            ("settle now", "is no command"),
            ("tick soon", "'soon' is no number of seconds"),
            ("tick nan", "'nan' is no number of seconds"),
            (" tick 1", "a command is not indented"),
        ):
            with self.assertRaises(StoryError, msg=line) as caught:
                rewritten(start + line + "\n")
            self.assertIn("line 3: ", str(caught.exception))
            self.assertIn(complaint, str(caught.exception), line)

    def test_a_story_begins_with_its_replicas(self) -> None:
        for first in ("propose 0 SET x a", "replicas", "replicas 0", "replicas 3 fast", "replicas 5 slots=x"):
            with self.assertRaises(StoryError, msg=first) as caught:
                rewritten(first + "\n")
            self.assertIn("line 1: ", str(caught.exception))

    def test_nothing_is_asked_of_a_replica_that_is_down(self) -> None:
        with self.assertRaises(StoryError) as caught:
            rewritten("replicas 3\ncrash 0\npropose 0 SET x a\n")
        self.assertIn("line 3: propose 0 SET x a: replica 0 is down", str(caught.exception))


class JudgeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.judge = Judge()
        self.a, self.b, self.get = batch_of("SET x a"), batch_of("SET x b"), batch_of("GET x")

    def test_agreement(self) -> None:
        self.judge.on_decided(0, InstanceId(0, 1), self.a, (0, 0, 0))
        self.judge.on_decided(1, InstanceId(0, 1), self.a, (0, 0, 0))
        for batch, deps in ((self.b, (0, 0, 0)), (NOP, (0, 0, 0)), (self.a, (0, 1, 0))):
            error = self.assertRaises(AssertionError, self.judge.on_decided, 2, InstanceId(0, 1), batch, deps)
            self.assertIn("Agreement", str(error))

    def test_visibility(self) -> None:
        self.judge.on_decided(0, InstanceId(0, 1), self.a, (0, 0, 0))
        self.judge.on_decided(1, InstanceId(1, 1), self.get, (1, 0, 0))
        self.judge.on_decided(1, InstanceId(1, 2), NOP, (0, 0, 0))
        self.judge.on_decided(1, InstanceId(1, 3), batch_of("SET y a"), (0, 0, 0))
        error = self.assertRaises(
            AssertionError, self.judge.on_decided, 2, InstanceId(2, 1), self.b, (0, 1, 0)
        )
        self.assertIn("Visibility: 0.1 and 2.1", str(error))
