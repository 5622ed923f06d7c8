"""TLS with a replica: which files are of use, and who is asked how.  tests/cluster asks a real replica."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.ctl.fake import Fake, member, run, status
from tests.transport.certificates import Authority


class TlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.authority = Authority(self.folder)

    def test_files_that_are_of_no_use(self) -> None:
        root, good = self.authority.root, self.authority.issue()
        other = self.folder / "other"
        other.write_text("nothing")
        for options, why in (
            (["--cacert", "none"], "--cacert none: No such file or directory"),
            (["--cacert", str(other)], f"--cacert {other}: it holds no certificate in PEM"),
            (["--cert", "none"], "--cert none: No such file or directory"),
            (
                ["--cert", str(root)],
                f"--cert {root}: it is no certificate with its key in PEM, not encrypted",
            ),
            (["--cert", str(good), "--key", "none"], f"--cert {good}: No such file or directory"),
            (["--key", str(good)], "--key goes with --cert"),
        ):
            done = run("--tls", *options, "--at", "127.0.0.1:1", "members")
            self.assertEqual((done.exit_code, done.stderr), (1, f"epaxosctl: {why}\n"))

    def test_a_server_that_speaks_no_tls(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            at = f"127.0.0.1:{silent.getsockname()[1]}"
            done = run("--tls", "--cacert", self.authority.root, "--at", at, "--timeout", "1", "members")
        self.assertEqual(done.exit_code, 1)
        self.assertIn(f"epaxosctl: {at}: it cannot be reached", done.stderr)

    def test_members_that_speak_tls_are_not_asked_in_plain_text(self) -> None:
        replies = {
            "EPAXOS MEMBERS": [member(0, "tcp:127.0.0.1:1", state="here"), member(1, "tls:127.0.0.1:1")],
            "EPAXOS STATUS": status(0, [1], [1]),
        }
        with Fake(replies) as fake:
            done = run("--at", fake.at, "status")
        self.assertIn("tls:127.0.0.1:1 speaks TLS: give --tls", done.stdout + done.stderr)
