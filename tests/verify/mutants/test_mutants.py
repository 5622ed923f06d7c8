"""The mutants: each breaks the product while it is applied, and only then; the hunt counts right."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId, is_in
from epaxos.protocol.values.quorums import Quorums
from epaxos.verify.mutants.catalogue import MUTANTS
from epaxos.verify.mutants.hunt import CONTROLS, Catch, Hunt, check_of, try_seed
from epaxos.verify.mutants.mutation import Edit, Entry, Mutant
from epaxos.verify.simulation.faults.fault import FaultKind
from epaxos.verify.simulation.plan import PROFILES, Plan
from epaxos.verify.simulation.run import simulate
from tests.builds import plain_only

ROOT = Path(__file__).parents[3]


def code_of(edit: Edit) -> object:
    """The code that the edited function has now."""
    target = edit.target.fget if isinstance(edit.target, property) else edit.target
    return getattr(target, "__func__", target).__code__


@plain_only
class MutationTests(SynchronousTestCase):
    def test_every_mutant_differs_and_goes_without_a_trace(self) -> None:
        for mutant in MUTANTS:
            edits = [change for change in mutant.changes if isinstance(change, Edit)]
            entries = [change for change in mutant.changes if isinstance(change, Entry)]
            self.assertTrue(edits or entries, mutant.name)
            codes = [code_of(edit) for edit in edits]
            values = [entry.table[entry.key] for entry in entries]
            with mutant.applied():
                for edit, code in zip(edits, codes):
                    self.assertNotEqual(code_of(edit), code, mutant.name)
                for entry, value in zip(entries, values):
                    self.assertNotEqual(entry.table[entry.key], value, mutant.name)
            for edit, code in zip(edits, codes):
                self.assertIs(code_of(edit), code, mutant.name)
            for entry, value in zip(entries, values):
                self.assertIs(entry.table[entry.key], value, mutant.name)

    def test_names_are_different_and_rules_are_told(self) -> None:
        self.assertEqual(len({mutant.name for mutant in MUTANTS}), len(MUTANTS))
        for mutant in MUTANTS:
            self.assertTrue(mutant.rule)

    def test_whoever_imported_the_function_gets_the_broken_one(self) -> None:
        with Mutant("", "", (Edit(is_in, (("<=", "=="),)),)).applied():
            self.assertFalse(is_in(InstanceId(0, 1), (2,)))
        self.assertTrue(is_in(InstanceId(0, 1), (2,)))

    def test_properties_can_be_broken(self) -> None:
        with Mutant("", "", (Edit(Quorums.fast, (("self.e", "self.f"),)),)).applied():
            self.assertEqual(Quorums.of(Epoch.first(7)).fast, 4)
        self.assertEqual(Quorums.of(Epoch.first(7)).fast, 5)

    def test_one_rule_may_be_spelt_in_two_places_of_a_function(self) -> None:
        with Mutant("", "", (Edit(is_in, (("id.slot", "0"), ("<=", "=="))),)).applied():
            self.assertTrue(is_in(InstanceId(0, 7), (0,)))
        self.assertFalse(is_in(InstanceId(0, 7), (0,)))

    def test_a_function_is_broken_only_once_at_a_time(self) -> None:
        edit = Edit(is_in, (("<=", "=="),))
        with self.assertRaises(ValueError):
            Mutant("", "", (edit, edit)).applied().__enter__()
        self.assertTrue(is_in(InstanceId(0, 1), (2,)))

    def test_an_error_takes_the_mutant_out_too(self) -> None:
        def fail() -> None:
            with Mutant("", "", (Edit(is_in, (("<=", "=="),)),)).applied():
                raise KeyError

        self.assertRaises(KeyError, fail)
        self.assertTrue(is_in(InstanceId(0, 1), (2,)))

    def test_an_edit_that_does_not_fit_is_an_error(self) -> None:
        for old in ("nowhere", "d"):
            with self.assertRaises(ValueError) as caught:
                Mutant("", "", (Edit(is_in, ((old, ""),)),)).applied().__enter__()
            self.assertIn("is_in has", str(caught.exception))

    def test_only_python_functions_can_be_edited(self) -> None:
        with self.assertRaises(ValueError):
            Mutant("", "", (Edit(len, ()),)).applied().__enter__()


class HuntTests(SynchronousTestCase):
    @plain_only
    def test_some_mutants_are_caught_at_once(self) -> None:
        wanted = {"slow path with D0": "Visibility", "vote adds nothing": "Visibility"}
        for mutant in MUTANTS:
            if mutant.name in wanted:
                catches = filter(None, (try_seed(mutant, seed) for seed in range(20)))
                self.assertEqual(next(catches).check, wanted.pop(mutant.name))
        self.assertEqual(wanted, {})

    def test_the_product_is_not(self) -> None:
        for control in CONTROLS:
            self.assertEqual([try_seed(control, seed) for seed in range(2)], [None] * 2)

    def test_the_lowest_seed_counts_whoever_was_first(self) -> None:
        hunt = Hunt(CONTROLS[0], 100)
        first, second = hunt.claim(), hunt.claim()
        self.assertEqual(first.stop, second.start)
        late = Catch(second.start + 2, "Order: late")
        hunt.take(second.start, (late, 3, 1.0))
        self.assertFalse(hunt.over)
        early = Catch(first.start + 1, "Order: early")
        hunt.take(first.start, (early, 2, 1.0))
        self.assertEqual((hunt.catch, hunt.seeds, hunt.over), (early, 2, True))
        self.assertFalse(hunt.claimable)

    def test_seeds_come_to_an_end(self) -> None:
        hunt = Hunt(CONTROLS[0], 10)
        while hunt.claimable:
            seeds = hunt.claim()
            hunt.take(seeds.start, (None, len(seeds), 0.0))
        self.assertEqual((hunt.seeds, hunt.over, hunt.catch), (10, True, None))

    def test_checks_are_told_apart(self) -> None:
        for text, check in (
            ("Agreement: 1.1 is …", "Agreement"),
            ("Liveness: the clients are not done", "liveness"),
            ("replica 1 runs 0.1 twice", "executed twice"),
            ("the command c1.1a was run in 0.1 and in 0.2", "executed twice"),
            ("replica 0 starts at (1,) (), where it never was", "frontier"),
            ("Wholeness: the checkpoint of replica 0 claims 1.2, and its state ends with 1.1", "wholeness"),
            ("replica 2: internal error\nTraceback …", "the product's own checks"),
        ):
            self.assertEqual(check_of(text), check)


class DocumentTests(SynchronousTestCase):
    """The table in docs: testing/mutants."""

    def test_every_mutant_is_in_it_and_caught(self) -> None:
        text = (ROOT / "docs" / "internals" / "testing" / "mutants.md").read_text()
        section = text.partition("\n## ")[0]
        rows = re.findall(
            r"^\| (.+?) \| (.+?) \| (.+?) \| (\d+) \| [\d.]+ \|$",
            section.replace(r"\|", "¦"),
            re.MULTILINE,
        )
        found = {name.replace("¦", "|"): rule.replace("¦", "|") for name, rule, check, seeds in rows}
        self.assertEqual(found, {mutant.name: mutant.rule for mutant in MUTANTS})
        self.assertNotIn("nothing", " ".join(check for _, _, check, _ in rows))


class RecoveryPlanTests(SynchronousTestCase):
    def test_the_seed_decides_the_plan_and_the_run(self) -> None:
        for seed in range(3):
            plan = Plan.of(seed, n=3, profile="recovery")
            self.assertEqual(plan, Plan.of(seed, n=3, profile="recovery"))
            first, second = simulate(plan, trace=True), simulate(plan, trace=True)
            self.assertEqual(first.violations, [])
            self.assertEqual(first.digest, second.digest)

    def test_faults_name_replicas_that_there_are(self) -> None:
        for profile in PROFILES:
            for n in (1, 2, 3, 5, 7):
                for seed in range(5):
                    plan = Plan.of(seed, n, profile)
                    for fault in plan.faults:
                        self.assertTrue(fault.where)
                        there = range(n + plan.spares)
                        self.assertTrue(all(replica in there for replica in fault.where), str(fault))

    def test_all_kinds_of_trouble_occur(self) -> None:
        kinds = {fault.kind for seed in range(30) for fault in Plan.of(seed, 5, "recovery").faults}
        for kind in ("KILL_AT_SEND", "CUT_AT_SEND", "LATE_AT_SEND", "POWER", "ONE_WAY", "PARTITION"):
            self.assertIn(FaultKind[kind], kinds)
