"""`epaxosctl` on a terminal: tables and progress are drawn there, and nowhere else."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from twisted.trial.unittest import SynchronousTestCase

from tests.ctl.fake import Fake, members, run_process, status


def on_terminal(*arguments: str) -> tuple[int, str]:
    """The exit status, and what stands on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "epaxos.ctl", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "COLUMNS": "80"},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(ours, 65536):
            shown += data
    os.close(ours)
    return process.wait(30), shown.decode()


class TerminalTests(SynchronousTestCase):
    def test_a_table(self) -> None:
        with Fake({}) as a, Fake({}) as b:
            members(a, b)
            code, shown = on_terminal("--at", a.at, "status")
            plain = run_process("--at", a.at, "status")
        self.assertEqual(code, 0, shown)
        self.assertIn("─────", shown)
        self.assertNotIn("…", shown)
        (row,) = (line for line in shown.splitlines() if " here " in line)
        self.assertEqual(
            row.split(), ["0", "yes", "here", "3", "35/35", "1", "7", "123.5", *["MB", "0", "2.5", "MB", "2"]]
        )
        self.assertNotIn("─", plain.stdout)
        self.assertNotIn("\x1b", plain.stdout + plain.stderr)

    def test_a_wide_table(self) -> None:
        """Its columns come closer before a cell is shortened."""
        with Fake({}) as a, Fake({}) as b:
            members(a, b, rows=lambda rows: [rows[0], [*rows[1][:4], "not connected"]])
            a.replies["EPAXOS STATUS"] = status(0, [22011], [22011])
            code, shown = on_terminal("--at", a.at, "status")
        self.assertEqual(code, 0, shown)
        self.assertNotIn("…", shown)
        self.assertIn("not connected     3", shown)
        self.assertIn("22011/22011", shown)

    def test_what_a_replica_says_is_no_markup(self) -> None:
        """Neither rich nor the terminal obeys it."""
        with Fake({}) as a:
            members(a, rows=lambda rows: [[*row[:4], "[red]\x1b]0;title\x07"] for row in rows])
            code, shown = on_terminal("--at", a.at, "status")
        self.assertEqual(code, 0, shown)
        self.assertIn("[red]", shown)
        self.assertNotIn("\x1b]0;", shown)

    def test_progress_of_a_member_that_takes_a_state(self) -> None:
        """A bar that is as long as what is there, and the text."""
        behind = {"epoch": 7, "source": 2, "taken_bytes": 15_000_000, "bytes": 30_000_000}
        takes = status(0, [1], [1], epoch={"number": 3, "behind": behind})
        refused = ValueError("CLUSTERDOWN it takes the state of another; the command was not run")
        replies = {"PING": "PONG", "GET epaxosctl:wait-ready": refused, "EPAXOS STATUS": takes}
        with Fake(replies) as a:
            code, shown = on_terminal("--at", a.at, "wait-ready", "--timeout", "0.5")
        self.assertEqual(code, 1)
        self.assertIn("50 %", shown)
        bars = [line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).splitlines() if "━" in line]
        self.assertTrue(bars, shown)
        self.assertEqual({line.count("━") + line.count("╸") + line.count("╺") for line in bars}, {20})

    def test_progress(self) -> None:
        arguments = ("--at", "127.0.0.1:1", "wait-ready", "--timeout", "0.5")
        code, shown = on_terminal(*arguments)
        self.assertEqual(code, 1)
        self.assertIn("waiting for 127.0.0.1:1", shown)
        self.assertIn("\x1b[", shown)
        plain = run_process(*arguments)
        self.assertEqual((plain.returncode, plain.stdout, len(plain.stderr.splitlines())), (1, "", 1))
        self.assertNotIn("\x1b", plain.stderr)
