"""What `make test` has trial run."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.real import CHOSEN, modules_for_trial

TESTS = Path(__file__).parent


class RealTests(SynchronousTestCase):
    def test_every_module_is_run_or_left_to_pytest(self) -> None:
        run, left = modules_for_trial()
        files = TESTS.rglob("test_*.py")
        names = {".".join(path.relative_to(TESTS.parent).with_suffix("").parts) for path in files}
        self.assertEqual(sorted([*run, *left]), sorted(names))
        self.assertLessEqual({*CHOSEN, "tests.test_real", "tests.node.test_turns"}, set(run))
        self.assertLessEqual({"tests.cluster.test_transfer", "tests.test_wheels"}, set(left))

    def test_what_is_left_needs_real_replicas(self) -> None:
        """Anything else belongs to both runners."""
        _, left = modules_for_trial()
        outside = [name for name in left if not name.startswith("tests.cluster.")]
        self.assertEqual(
            outside,
            [
                "tests.applications.test_applications",
                "tests.browser.test_page",
                "tests.fuzz.test_real_replica",
                "tests.generated.test_status",
                "tests.test_wheels",
            ],
        )
