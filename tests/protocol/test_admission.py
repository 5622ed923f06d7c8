"""The admission table, against its own text in the docs and against all combinations."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.admission import ADMISSION, Admission, admit
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import Accept, Phase, PreAccept, Recover, Validate

DOCS = Path(__file__).parents[2] / "docs" / "internals" / "protocol" / "rules.md"
TAKE, REPEAT, DECIDED, NO = Admission.TAKE, Admission.REPEAT, Admission.DECIDED, Admission.SUPERSEDED


class AdmissionTests(SynchronousTestCase):
    def test_the_docs_show_this_table(self) -> None:
        for kind, rule in ADMISSION.items():
            phases = ", ".join(phase.name.lower() for phase in sorted(rule.phases))
            repeats = f" {rule.repeats_text}" if rule.repeats_text else ""
            row = f"| {kind.__name__} | {phases} | {rule.ballot_text} |{repeats} |"
            self.assertIn(row, DOCS.read_text())

    def test_every_phase_and_ballot(self) -> None:
        """Rows: message and its ballot 5 (PreAccept: 0); columns: local ballots 0, 4, 5, 6."""
        for kind, phase, expected in (
            (PreAccept, Phase.INITIAL, (TAKE, NO, NO, NO)),
            (PreAccept, Phase.PREACCEPTED, (REPEAT, NO, NO, NO)),
            (PreAccept, Phase.ACCEPTED, (NO, NO, NO, NO)),
            (Accept, Phase.INITIAL, (TAKE, TAKE, TAKE, NO)),
            (Accept, Phase.PREACCEPTED, (TAKE, TAKE, TAKE, NO)),
            (Accept, Phase.ACCEPTED, (TAKE, TAKE, TAKE, NO)),
            (Recover, Phase.INITIAL, (TAKE, TAKE, REPEAT, NO)),
            (Recover, Phase.PREACCEPTED, (TAKE, TAKE, REPEAT, NO)),
            (Recover, Phase.ACCEPTED, (TAKE, TAKE, REPEAT, NO)),
            (Validate, Phase.INITIAL, (NO, NO, TAKE, NO)),
            (Validate, Phase.PREACCEPTED, (NO, NO, TAKE, NO)),
            (Validate, Phase.ACCEPTED, (NO, NO, NO, NO)),
        ):
            for bal, outcome in zip((0, 4, 5, 6), expected):
                instance = Instance(InstanceId(0, 1), (0, 0, 0))
                instance.phase, instance.bal = phase, bal
                ballot = 0 if kind is PreAccept else 5
                self.assertIs(admit(kind, instance, ballot), outcome, f"{kind.__name__} {phase.name} {bal}")
                instance.phase = Phase.COMMITTED
                self.assertIs(admit(kind, instance, ballot), DECIDED)
