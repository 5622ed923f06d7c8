"""`epaxosctl top`: one picture, and pictures on a terminal until Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.ctl.fake import Fake, members, run
from tests.ctl.health.healthy import healthy
from tests.generated.ctl import TOP_FIELDS
from tests.generated.status import names_in

CTRL_C = b"\x03"
PATIENCE_S = 60.0


def cluster(*fakes: Fake) -> None:
    """A healthy cluster."""
    for fake, answer in zip(fakes, healthy()):
        fake.replies["EPAXOS STATUS"] = json.dumps({**answer.status, "certificates": {}})
    members(*fakes)


class TopTests(SynchronousTestCase):
    def test_one_picture(self) -> None:
        with Fake({}) as a, Fake({}) as b, Fake({}) as c:
            cluster(a, b, c)
            done = run("--at", a.at, "top", "--once", env={"COLUMNS": "60"})
            self.assertEqual(done.exit_code, 0, done.output)
            self.assertNotIn("\x1b", done.stdout)
            lines = done.stdout.splitlines()
            self.assertEqual(lines[0], "cluster shop, 3 of 3 up, epoch 2, version 2")
            self.assertEqual(
                [line.split()[:2] for line in lines[4:7]], [["0", "here"], ["1", "up"], ["2", "up"]]
            )
            self.assertLessEqual(max(map(len, lines)), 60)

    def test_a_document(self) -> None:
        with Fake({}) as a, Fake({}) as b, Fake({}) as c:
            cluster(a, b, c)
            done = run("--at", a.at, "top", "--json")
            document = json.loads(done.stdout)
            shown = {name for name in names_in(document) if not name.startswith("members[].last_second.")}
            self.assertEqual({*shown, "members[].last_second"}, set(TOP_FIELDS))
            self.assertEqual((document["received"], document["executed"]), (3600, 3600))
            self.assertEqual(document["members"][1]["sees"], [0, 1, 2])

    def test_no_terminal(self) -> None:
        with Fake({}) as a:
            cluster(a)
            done = run("--at", a.at, "top")
            self.assertEqual((done.exit_code, done.stdout), (1, ""))
            self.assertIn("stdout is no terminal: give --once, or --json", done.stderr)

    def test_nobody_answers(self) -> None:
        done = run("--at", "127.0.0.1:1", "top", "--once")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("it cannot be reached", done.stderr)

    def test_until_ctrl_c(self) -> None:
        """Also after the replica of --at is gone."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        with Fake({}) as b, Fake({}) as c:
            with Fake({}) as a:
                cluster(a, b, c)
                process = subprocess.Popen(
                    [sys.executable, "-m", "epaxos.ctl", "--at", a.at, "top", "--every", "0.05"],
                    stdin=theirs,
                    stdout=theirs,
                    stderr=theirs,
                    start_new_session=True,
                    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                    env={**environment, "TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"},
                )
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                os.close(theirs)
                shown = self.read(ours, b"", b"3 of 3 up")
            shown = self.read(ours, shown, b"not asked")
        os.write(ours, CTRL_C)
        shown = self.read(ours, shown, None)
        self.assertEqual(process.wait(30), 0, shown)
        self.assertNotIn(b"\x1b[32m", shown, "a colour, in spite of NO_COLOR")
        self.assertNotIn(b"Traceback", shown)

    def read(self, terminal: int, shown: bytes, wanted: bytes | None) -> bytes:
        """What stands on the terminal when `wanted` does, or, without it, when the program has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while wanted is None or wanted not in shown:
            self.assertLess(time.monotonic(), deadline, shown[-2000:])
            ready, _, _ = select.select([terminal], [], [], PATIENCE_S)
            self.assertTrue(ready, shown[-2000:])
            try:
                data = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                self.assertIsNone(wanted, shown)
                break
            shown += data
        return shown
