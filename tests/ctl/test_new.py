"""`epaxosctl new`: what it writes, and what it refuses."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from click.testing import CliRunner
from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.file import load
from epaxos.ctl.main import cli
from epaxos.ctl.making.plan import Plan, hosts_in
from epaxos.service.peer_tls import check_peer_tls
from tests.ctl.fake import run
from tests.generated.ctl import NEW_FIELDS
from tests.generated.status import names_in


class NewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()

    def config(self) -> str:
        return (self.folder / "cluster.ini").read_text()

    def test_the_defaults_are_good_for_every_replica(self) -> None:
        done = run("new", self.folder, "--yes")
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        config = load(self.folder / "cluster.ini")
        self.assertEqual((config.cluster.name, len(config.replicas)), ("shop", 3))
        self.assertGreaterEqual(len(config.security.requirepass), 32)
        for id in range(3):
            check_peer_tls(config, id)
            self.assertIn(f"twistd -n epaxos --id {id} --config {self.folder}/cluster.ini\n", done.stdout)
        self.assertIn("epaxosctl --at 127.0.0.1:7100 wait-ready", done.stdout)
        self.assertNotIn(config.security.requirepass, done.stdout)
        self.assertEqual(
            sorted(path.name for path in self.folder.iterdir()),
            ["0.key", "0.pem", "1.key", "1.pem", "2.key", "2.pem", "ca.pem", "cluster.ini", "issuer.key"],
        )
        for path in self.folder.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path.name)

    def test_a_certificate_names_the_member_and_its_host(self) -> None:
        run("new", self.folder, "--yes", "--name", "a.b", "--hosts", "10.0.0.1 h.example")
        names = []
        for id in range(2):
            certificate = x509.load_pem_x509_certificate((self.folder / f"{id}.pem").read_bytes())
            names += certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(
            [str(name.value) for name in names], ["epaxos://a.b/0", "10.0.0.1", "epaxos://a.b/1", "h.example"]
        )

    def test_answers_at_the_prompts(self) -> None:
        options = ["new", str(self.folder), "--no-tls"]
        done = CliRunner().invoke(cli, options, input="mine\n10.0.0.1, 10.0.0.2, ::5\n8000\nn\n")
        self.assertEqual(done.exit_code, 0, done.output)
        config = load(self.folder / "cluster.ini")
        self.assertEqual((config.cluster.name, config.security.requirepass), ("mine", ""))
        self.assertEqual(config.replicas[1].peer, "tcp:8000:interface=10.0.0.2")
        self.assertEqual(config.replicas[2].client_connect, "tcp:\\:\\:5:8100")
        self.assertIn("refuse clients of other hosts", done.stdout)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["cluster.ini"])

    def test_nobody_answers(self) -> None:
        done = run("new", self.folder)
        self.assertEqual(done.exit_code, 1)
        self.assertIn("no answer to 'Name of the cluster', and nothing was written", done.stderr)
        self.assertFalse(self.folder.exists())

    def test_nothing_is_written_over(self) -> None:
        run("new", self.folder, "--yes")
        before = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        (self.folder / "cluster.ini").unlink()
        done = run("new", self.folder, "--yes")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("ca.pem exists; --force writes over it, and nothing was written", done.stderr)
        self.assertFalse((self.folder / "cluster.ini").exists())
        self.assertEqual(run("new", self.folder, "--yes", "--force").exit_code, 0)
        after = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        self.assertEqual(after.keys(), before.keys())
        self.assertNotEqual(after["0.key"], before["0.key"])

    def test_the_document(self) -> None:
        done = run("new", self.folder, "--yes", "--json")
        document = json.loads(done.stdout)
        self.assertEqual(names_in(document), set(NEW_FIELDS))
        self.assertEqual(document["members"][2], {"id": 2, "host": "127.0.0.1", "client": "127.0.0.1:7102"})

    def test_a_password_of_ones_own(self) -> None:
        run("--password", "tell me", "new", self.folder, "--yes", "--no-tls")
        self.assertEqual(load(self.folder / "cluster.ini").security.requirepass, "tell me")

    def test_refusals(self) -> None:
        for options, why in (
            (["--name", "a b"], "the name of the cluster, 'a b'"),
            (["--hosts", "10.0.0.1,10.0.0.1.9"], "'10.0.0.1.9' is neither an IP address nor"),
            (["--hosts", "0"], "has 1 to 99 replicas"),
            (["--hosts", "100"], "has 1 to 99 replicas"),
            (["--hosts", "10.0.0.1,localhost"], "cannot reach a loopback address"),
            (["--port", "65400"], "the first port must be 1 to 65333, not 65400"),
            (["--data", "same"], "must have {id} in it"),
            (["--password", "a\tb"], "the password "),
        ):
            done = run("new", self.folder, "--yes", *options)
            self.assertEqual(done.exit_code, 1, done.output)
            self.assertIn(why, done.stderr)
            self.assertFalse(self.folder.exists())

    def test_a_folder_that_cannot_be_made(self) -> None:
        (file := Path(self.mktemp())).write_text("")
        done = run("new", file / "in", "--yes")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("cannot be written: Not a directory", done.stderr)


class PlanTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        self.assertEqual(hosts_in("3"), ["127.0.0.1"] * 3)
        self.assertEqual(hosts_in(" a, b ,fe80::1"), ["a", "b", "fe80::1"])

    def test_members_that_share_a_host_have_ports_of_their_own(self) -> None:
        plan = Plan("x", ["a", "b", "a"], 7000, "", False)
        self.assertEqual(
            [(site.host, site.port) for site in plan.sites], [("a", 7000), ("b", 7000), ("a", 7001)]
        )
