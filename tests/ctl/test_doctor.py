"""`epaxosctl doctor` against client ports that answer as they should, and otherwise."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.ctl.commands import doctor
from tests.ctl.fake import Fake, members, run
from tests.ctl.health.healthy import STATUS, changed, healthy
from tests.generated.ctl import DOCTOR_FIELDS
from tests.generated.status import names_in


class DoctorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(doctor, "AGAIN_S", 0.01)

    def cluster(self, *fakes: Fake, **shown: Any) -> None:
        """A healthy cluster, but for what replica 1 shows."""
        for here, (fake, answer) in enumerate(zip(fakes, healthy())):
            changed(answer, certificates={"peer_tls": False})
            if here == 1:
                changed(answer, **shown)
            fake.replies["EPAXOS STATUS"] = json.dumps(answer.status)
        members(*fakes)

    def test_nothing_is_wrong(self) -> None:
        with Fake({}) as a, Fake({}) as b, Fake({}) as c:
            self.cluster(a, b, c)
            done = run("--at", a.at, "doctor")
            self.assertEqual((done.exit_code, done.output), (0, "nothing is wrong with the 3 members\n"))
            self.assertEqual(b.asked.count("EPAXOS STATUS"), 1)
            done = run("--at", a.at, "--json", "doctor")
            self.assertEqual(json.loads(done.stdout), {"at": a.at, "members": [0, 1, 2], "findings": []})

    def test_something_is_wrong(self) -> None:
        with Fake({}) as a, Fake({}) as b, Fake({}) as c:
            self.cluster(a, b, c, program__engine="memory", host__disk_free_bytes=5_000)
            done = run("--at", a.at, "doctor")
            self.assertEqual(done.exit_code, 1)
            self.assertIn("error: replica 1 has 5.0 kB left on the disk of its data\n    make", done.stdout)
            self.assertIn("warning: replica 1 keeps nothing on disk", done.stdout)
            done = run("--at", a.at, "doctor", "--json")
            self.assertEqual(done.exit_code, 1)
            document = json.loads(done.stdout)
            self.assertEqual(names_in(document), set(DOCTOR_FIELDS))
            self.assertEqual([each["code"] for each in document["findings"]], ["disk-full", "engine-memory"])

    def test_what_is_soon_over_is_not_told(self) -> None:
        with Fake({}) as a, Fake({}) as b, Fake({}) as c:
            self.cluster(a, b, c)
            later = b.replies["EPAXOS STATUS"]
            replies = iter([json.dumps({**STATUS, "id": 1, "running": False}), later])
            b.replies["EPAXOS STATUS"] = lambda: next(replies)
            done = run("--at", a.at, "doctor")
            self.assertEqual((done.exit_code, done.output), (0, "nothing is wrong with the 3 members\n"))

    def test_nobody_answers(self) -> None:
        done = run("--at", "127.0.0.1:1", "doctor")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("it cannot be reached", done.stderr)
