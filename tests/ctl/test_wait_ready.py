"""`epaxosctl wait-ready`: what it takes for a replica that serves, and what it waits for."""

from __future__ import annotations

import json
import re
import time
from threading import Timer
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.ctl.fake import Fake, Raw, run, status
from tests.generated.ctl import READY_FIELDS
from tests.generated.status import names_in

READ = "GET epaxosctl:wait-ready"
SERVES = {"PING": "PONG", READ: None}
UNKNOWN = ValueError("ERR unknown command 'GET', the printer knows PRINT key text")
DOWN = ValueError("CLUSTERDOWN no quorum answered within 5 s; the command was not run")


class WaitReadyTests(SynchronousTestCase):
    def ask(self, replies: dict[str, Any], *options: str) -> tuple[int, str, str]:
        with Fake(replies) as a:
            done = run("--at", a.at, "wait-ready", "--timeout", "0.6", *options)
            return done.exit_code, done.stdout, done.stderr.replace(a.at, "AT")

    def test_it_serves(self) -> None:
        self.assertEqual(self.ask(SERVES), (0, "", ""))
        self.assertEqual(self.ask({**SERVES, READ: b"a value"}), (0, "", ""))

    def test_as_one_document(self) -> None:
        code, out, _ = self.ask(SERVES, "--json")
        self.assertEqual(names_in(json.loads(out)), set(READY_FIELDS))
        self.assertEqual((code, json.loads(out)["ready"], json.loads(out)["waits_for"]), (0, True, None))
        code, out, error = self.ask({"PING": Raw(b"")}, "--json")
        self.assertEqual((code, json.loads(out)["ready"]), (1, False))
        self.assertEqual(error, f"epaxosctl: AT does not serve after 0.6 s: {json.loads(out)['waits_for']}\n")

    def test_what_it_waited_for(self) -> None:
        starts = status(0, [1], [1], running=False)
        starts_too = json.dumps({"id": 0, "members": [{"up": True}], "digest": None})  # an earlier version
        alone = status(0, [1], [1], members=[{"id": 0, "up": True}, {"id": 1, "up": False}])
        for replies, why in (
            ({**SERVES, READ: DOWN}, f"it refused: {DOWN}"),
            ({"PING": ValueError("LOADING first start")}, "it refused: LOADING first start"),
            (
                {**SERVES, READ: ValueError("ERR max number of clients reached")},
                "it refused: ERR max number",
            ),
            ({**SERVES, READ: UNKNOWN, "EPAXOS STATUS": starts}, "it starts or stops"),
            ({**SERVES, READ: UNKNOWN, "EPAXOS STATUS": starts_too}, "it starts or stops"),
            (
                {**SERVES, READ: UNKNOWN, "EPAXOS STATUS": alone},
                "no majority of the members is up: it sees 1 of 2",
            ),
            ({**SERVES, READ: UNKNOWN, "EPAXOS STATUS": "{}"}, "its status cannot be understood"),
            ({**SERVES, READ: UNKNOWN, "EPAXOS STATUS": "x"}, "its status cannot be understood"),
        ):
            code, out, error = self.ask(replies)
            self.assertEqual((code, out), (1, ""))
            self.assertTrue(error.startswith(f"epaxosctl: AT does not serve after 0.6 s: {why}"), error)
            self.assertEqual(len(error.splitlines()), 1)

    def test_no_majority(self) -> None:
        """The cause is named, not the read that failed because of it: refused, or not answered in time."""
        alone = status(0, [1], [1], members=[{"id": id, "up": id == 0} for id in range(3)])
        why = "no majority of the members is up: it sees 1 of 3"
        silent = "it did not answer GET within "
        starts = ValueError("CLUSTERDOWN the replica does not run; the command was not run")
        for read, told, said in (
            (DOWN, alone, why),
            (Raw(b""), alone, why),
            (DOWN, status(0, [1], [1]), f"it refused: {DOWN}"),
            (DOWN, status(0, [1], [1], members="x"), f"it refused: {DOWN}"),
            (starts, alone, f"it refused: {starts}"),
            (Raw(b""), status(0, [1], [1]), silent),
            (Raw(b""), ValueError("NOPERM no"), silent),
        ):
            code, out, error = self.ask({**SERVES, READ: read, "EPAXOS STATUS": told})
            self.assertEqual((code, out), (1, ""))
            self.assertTrue(error.startswith(f"epaxosctl: AT does not serve after 0.6 s: {said}"), error)
            self.assertRegex(error, rf"({re.escape(said)}|within 0\.\d{{1,4}} s)\n$")

    def test_a_member_that_takes_a_state(self) -> None:
        """It does not serve, whatever it sees of the others; and it is not asked further than it answers."""
        refused = ValueError("CLUSTERDOWN the replica takes the state of another; the command was not run")
        behind = {"epoch": 7, "source": 2, "taken_bytes": 3_000_000, "bytes": 30_000_000}
        takes = status(0, [1], [1], epoch={"number": 3, "behind": behind})
        asks = {**SERVES, READ: refused}
        refusal = f"it refused: {refused}"
        why = "it takes the state of member 2: 10 %, 3.0 MB of 30.0 MB"
        for replies, said in (
            ({**asks, "EPAXOS STATUS": takes}, why),
            ({**SERVES, READ: UNKNOWN, "EPAXOS STATUS": takes}, why),
            (
                {**SERVES, READ: refused, "EPAXOS STATUS": ValueError("NOPERM no")},
                f"it refused: {refused}",
            ),
            ({**asks, "EPAXOS STATUS": "x"}, refusal),
            ({**asks, "EPAXOS STATUS": status(0, [1], [1])}, refusal),
        ):
            code, out, error = self.ask(replies)
            self.assertEqual((code, out), (1, ""))
            self.assertEqual(error, f"epaxosctl: AT does not serve after 0.6 s: {said}\n")
        _, out, _ = self.ask({**SERVES, READ: refused, "EPAXOS STATUS": takes}, "--json")
        self.assertEqual(json.loads(out)["waits_for"], why)

    def test_a_state_machine_without_get(self) -> None:
        """It serves when it sees a majority."""
        two = [{"id": id, "up": id < 2} for id in range(3)]
        replies = {**SERVES, READ: UNKNOWN, "EPAXOS STATUS": status(0, [1], [1], members=two)}
        self.assertEqual(self.ask(replies), (0, "", ""))

    def test_what_time_does_not_change(self) -> None:
        began = time.monotonic()
        for replies, options in (
            ({"PING": ValueError("NOAUTH Authentication required.")}, []),
            ({"PING": ValueError("DENIED Redis is running in protected mode")}, []),
            ({"AUTH x": ValueError("WRONGPASS invalid username-password pair")}, ["--password", "x"]),
            ({"AUTH x": ValueError("ERR AUTH <password> called without any password")}, ["--password", "x"]),
            ({**SERVES, READ: UNKNOWN, "EPAXOS STATUS": ValueError("NOPERM from elsewhere")}, []),
        ):
            with Fake(replies) as a:
                done = run("--at", a.at, "wait-ready", "--timeout", "30", *options)
            self.assertEqual((done.exit_code, done.stdout), (1, ""))
            self.assertTrue(done.stderr.startswith(f"epaxosctl: {a.at}: it refused: "), done.stderr)
        self.assertLess(time.monotonic() - began, 10)

    def test_until_it_serves(self) -> None:
        """Nobody is there, then it has no quorum, then it serves."""
        with Fake({**SERVES, READ: DOWN}) as a:
            timer = Timer(0.5, lambda: a.replies.update(SERVES))
            timer.start()
            self.addCleanup(timer.join)
            done = run("--at", a.at, "wait-ready", "--timeout", "20")
            self.assertGreater(a.asked.count(READ), 1)
        self.assertEqual((done.exit_code, done.output), (0, ""))

    def test_nobody_there(self) -> None:
        began = time.monotonic()
        done = run("--at", "127.0.0.1:1", "wait-ready", "--timeout", "0.5")
        self.assertGreaterEqual(time.monotonic() - began, 0.5)
        self.assertIn("it cannot be reached: Connection refused", done.stderr)
        self.assertEqual(done.exit_code, 1)

    def test_a_replica_that_hangs(self) -> None:
        """The wait ends when its time is over, not with the time for an answer."""
        began = time.monotonic()
        code, _, error = self.ask({"PING": Raw(b"")})
        self.assertLess(time.monotonic() - began, 5)
        self.assertRegex(error, r"it did not answer PING within 0\.\d{1,4} s\n")
        self.assertEqual(code, 1)
