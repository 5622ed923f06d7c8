"""Every file in `corpus/TARGET/` goes through its target.

`seed-*` are ordinary inputs, with which the fuzzer begins.  All others once broke a promise.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.hunt import CORPUS
from tests.fuzz.targets import TARGETS


class CorpusTests(SynchronousTestCase):
    def test_every_input(self) -> None:
        for folder in sorted(CORPUS.iterdir()):
            target = TARGETS[folder.name]
            for path in sorted(folder.iterdir()):
                try:
                    target(path.read_bytes())
                except Exception as error:
                    raise AssertionError(f"{path.relative_to(CORPUS)}") from error

    def test_every_target_has_a_beginning(self) -> None:
        self.assertEqual(sorted(TARGETS), sorted(folder.name for folder in CORPUS.iterdir()))
