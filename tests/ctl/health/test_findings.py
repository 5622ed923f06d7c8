"""What is wrong with a cluster, by the statuses of its members: a table of cases."""

from __future__ import annotations

from typing import Any, NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from epaxos.ctl.health.findings import findings
from epaxos.ctl.health.values import ERROR, WARNING
from epaxos.ctl.members import Answer
from tests.ctl.health.healthy import DAY_S, NOW_S, changed, healthy


class Case(NamedTuple):
    """What replica 1 shows otherwise than a healthy one, and what is found: how bad, which kind, and a part
    of what is told; "" where nothing is."""

    shown: dict[str, Any]
    severity: str
    code: str = ""
    what: str = ""


CASES = (
    Case({"clock__offset_s": 0.24}, ""),
    Case({"clock__offset_s": -0.3}, WARNING, "clock", "replica 1 has a clock 0.30 s behind the others"),
    Case({"clock__offset_s": 0.7, "clock__trusted": False}, ERROR, "clock", "0.70 s ahead of the others"),
    Case(
        {"clock": {"offset_s": None, "trusted": False, "why_not": "too few were heard"}},
        *(WARNING, "clock", "replica 1 does not trust its clock: too few were heard"),
    ),
    Case({"clock": {"offset_s": None, "trusted": False}, "program__uptime_s": 3.0}, ""),
    Case({"running": False}, ERROR, "not-running", "replica 1 starts or stops"),
    Case({"running": False, "program__uptime_s": 3.0}, ""),
    Case(
        {"epoch__behind": {"epoch": 2, "source": 0}}, WARNING, "behind", "serves no clients until it has it"
    ),
    Case({"epoch__number": 1}, WARNING, "old-epoch", "replica 1 is in epoch 1, and the newest is epoch 2"),
    Case({"program__unsettled_s": 299}, ""),
    Case({"program__unsettled_s": 301}, WARNING, "turn", "for 301 s that every member has opened epoch 2"),
    Case({"counters__instances_held": 70_000}, ""),
    Case(
        {"counters__instances_held": 80_000},
        *(ERROR, "log-not-bounded", "holds 80000 instances, and the next epoch should have begun at 50000"),
    ),
    Case({"counters__bytes_held": 500_000_000}, ERROR, "log-not-bounded", "holds 500.0 MB"),
    Case({"certificates__ends_at": NOW_S + 31 * DAY_S}, ""),
    Case(
        {"certificates__ends_at": NOW_S + 29 * DAY_S},
        *(WARNING, "certificate", "replica 1 has a certificate that ends in 29 days"),
    ),
    Case({"certificates__ends_at": NOW_S - 1}, ERROR, "certificate", "has ended"),
    Case(
        {"certificates__issuer_ends_at": NOW_S + 80 * DAY_S},
        *(WARNING, "certificate", "has an issuer in ca that ends in 80 days"),
    ),
    Case({"certificates__ends_at": None}, ERROR, "certificate", "cannot read the file of a certificate"),
    Case({"certificates": {"peer_tls": False, "ends_at": None, "issuer_ends_at": None}}, ""),
    Case({"host__disk_free_bytes": 900_000_000}, WARNING, "disk-full", "has 900.0 MB left on the disk"),
    Case({"host__disk_free_bytes": 90_000_000}, ERROR, "disk-full", "has 90.0 MB left on the disk"),
    Case({"host__disk_free_bytes": 3_000_000_000, "host__memory_bytes": 2_000_000_000}, WARNING, "disk-full"),
    Case({"host__disk_free_bytes": None}, ""),
    Case({"last_minute__disk_p50_s": 0.049}, ""),
    Case(
        {"last_minute__disk_p50_s": 0.08}, WARNING, "disk-slow", "waits 80 ms for half of its synced writes"
    ),
    Case({"last_minute__disk_p50_s": 0.08, "program__uptime_s": 3.0}, ""),
    Case({"last_minute__late_p99_s": 0.5}, WARNING, "loop-late", "500 ms late one time in a hundred"),
    Case(
        {"host__memory_available_bytes": 390_000_000}, WARNING, "memory", "390.0 MB of 8.0 GB of memory left"
    ),
    Case({"host__descriptors": 16_000}, WARNING, "descriptors", "16000 of 20000"),
    Case({"clients__connected": 9_000}, WARNING, "clients", "replica 1 has clients: 9000 of 10000"),
    Case({"clients__held_bytes": 1_000_000_000}, WARNING, "clients-memory", "1.0 GB of 1.1 GB"),
    Case({"program__engine": "memory"}, WARNING, "engine-memory", "keeps nothing on disk"),
    Case({"program__version": "0.2.0"}, WARNING, "versions", "replica 1: 0.2.0, replica 2: 0.1.0"),
    Case({"program": None}, WARNING, "versions", "replica 1: an earlier one"),
    Case(
        {"members": [{"id": 0, "up": True}, {"id": 1, "up": True}, {"id": 2, "up": False}]},
        *(ERROR, "one-way-link", "replica 1 does not see replica 2, which sees it"),
    ),
    Case({"members": "nonsense", "host": [], "clients": 7, "last_minute": None, "certificates": {}}, ""),
)


class FindingsTests(SynchronousTestCase):
    def test_nothing_is_wrong(self) -> None:
        self.assertEqual(findings(healthy(), NOW_S), [])

    def test_cases(self) -> None:
        for case in CASES:
            answers = healthy()
            changed(answers[1], **case.shown)
            found = [(each.severity, each.code) for each in findings(answers, NOW_S)]
            self.assertEqual(found, [(case.severity, case.code)] if case.severity else [], case)
            for each in findings(answers, NOW_S):
                self.assertIn(1, each.members)
                self.assertIn(case.what, each.what)
                self.assertTrue(each.todo)

    def down(self, *numbers: int) -> list[Answer]:
        """Some have ended, and the others have noticed it."""
        answers = healthy()
        for answer in answers:
            changed(answer, members=[{"id": id, "up": id not in numbers} for id in range(3)])
        for number in numbers:
            answers[number] = Answer(answers[number].member, "", error=f"h{number}: it cannot be reached")
        return answers

    def test_a_member_is_down(self) -> None:
        (found,) = findings(self.down(2), NOW_S)
        self.assertEqual((found.severity, found.code, found.members), (ERROR, "down", (2,)))
        self.assertEqual(found.what, "replica 2 is down: h2: it cannot be reached")

    def test_a_majority_is_down(self) -> None:
        found = findings(self.down(1, 2), NOW_S)
        self.assertEqual([each.code for each in found], ["no-majority", "down", "down"])
        self.assertIn("a member sees at most 1 of 3", found[0].what)

    def test_a_member_that_cannot_be_asked_from_here(self) -> None:
        answers = healthy()
        answers[2] = Answer(answers[2].member, "", error="10.0.0.3:7100: it cannot be reached")
        (found,) = findings(answers, NOW_S)
        self.assertEqual((found.severity, found.code, found.members), (WARNING, "not-asked", (2,)))

    def test_a_link_that_is_cut_both_ways(self) -> None:
        answers = healthy()
        for here, there in ((0, 2), (2, 0)):
            changed(answers[here], members=[{"id": id, "up": id != there} for id in range(3)])
        (found,) = findings(answers, NOW_S)
        self.assertEqual((found.code, found.members), ("no-link", (0, 2)))

    def test_all_can_do_more_than_the_cluster_does(self) -> None:
        answers = healthy()
        answers[0].member.version = answers[1].member.version = "3"
        self.assertEqual(findings(answers, NOW_S), [], "one cannot do it yet")
        answers[2].member.version = "3"
        (found,) = findings(answers, NOW_S)
        self.assertEqual((found.code, found.members), ("old-version", (0, 1, 2)))

    def test_errors_come_first(self) -> None:
        answers = healthy()
        changed(answers[0], program__engine="memory")
        changed(answers[2], running=False)
        found = findings(answers, NOW_S)
        self.assertEqual([each.severity for each in found], [ERROR, WARNING])
