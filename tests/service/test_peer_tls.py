"""`[security] peer_tls`: what is refused at the start, in which words, and the commands of docs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError
from epaxos.net.mutual_tls import TlsDialling, TlsListening, peer_uris
from epaxos.service.client_tls import check_client_tls
from epaxos.service.endpoints import connecting, listening
from epaxos.service.peer_tls import PeerEndpoints, check_peer_tls, secured
from epaxos.service.tap import Options
from tests.config.case import ConfigCase
from tests.transport.certificates import Authority

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operating" / "tls.md"
ON = "[security]\npeer_tls = yes\n"
_WITHOUT_TLS = """
import sys
from pathlib import Path
sys.modules["OpenSSL"] = None
from epaxos.service.tap import Options
Options().parseOptions(["--id", "0", "--check", "--config", sys.argv[1]])
"""


class PeerTlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        self.authority = Authority(self.folder / "authority")
        for id in range(3):
            self.authority.certify(self.folder, id, f"epaxos://example/{id}")

    def config(self, settings: str = ON) -> Config:
        path = self.folder / "cluster.ini"
        path.write_text(example(3) + settings)
        return load(path)

    def endpoints(self, config: Config, id: int) -> PeerEndpoints:
        reactor = MemoryReactorClock()
        return secured(
            config, id, listening(config, id, "peer", reactor), connecting(config, id, reactor), reactor
        )

    def refused(self, text: str, id: int = 0, settings: str = ON) -> None:
        """Both by a start and by `--check`."""
        config = self.config(settings)
        for read in (check_peer_tls, self.endpoints):
            error = self.assertRaises(ConfigError, read, config, id)
            self.assertEqual(str(error), f"{config.path}: [security] {text}")

    def test_off(self) -> None:
        """No file is read."""
        shutil.rmtree(self.folder / "authority")
        (self.folder / "0.pem").unlink()
        config = self.config("")
        check_peer_tls(config, 0)
        endpoints = self.endpoints(config, 0)
        self.assertIsInstance(endpoints.listen, TCP4ServerEndpoint)
        self.assertIsNone(endpoints.names_of)

    def test_on(self) -> None:
        for id in range(3):
            check_peer_tls(self.config(), id)
            endpoints = self.endpoints(self.config(), id)
            self.assertIsInstance(endpoints.listen, TlsListening)
            for address in ("", "tcp:10.0.0.7:7100"):
                self.assertIsInstance(endpoints.dial((id + 1) % 3, address, True), TlsDialling)
            self.assertIs(endpoints.names_of, peer_uris)

    def test_paths(self) -> None:
        """Relative to the file; `{id}` is the number; absolute ones stay."""
        (self.folder / "tls" / "2").mkdir(parents=True)
        (self.folder / "2.pem").rename(self.folder / "tls" / "2" / "own.pem")
        key = (self.folder / "2.key").rename(self.folder / "tls" / "key-2-2")
        settings = f"certificate = tls/{{id}}/own.pem\nkey = {key.parent}/key-{{id}}-{{id}}\n"
        check_peer_tls(self.config(ON + settings), 2)

    def test_files_that_are_of_no_use(self) -> None:
        """What is wrong with each is in tests/net/test_mutual_tls.py."""
        (self.folder / "1.key").unlink()
        self.refused(f"key = {self.folder}/1.key: cannot be read: No such file or directory", 1)
        self.authority.certify(self.folder, 2, "epaxos://example/2", from_days=-9, to_days=-2)
        self.refused(f"certificate = {self.folder}/2.pem: has expired", 2)
        (self.folder / "ca.pem").write_bytes(b"")
        self.refused(f"ca = {self.folder}/ca.pem: holds no certificate in PEM")

    def test_the_certificate_of_another(self) -> None:
        swapped = ON + "certificate = 1.pem\nkey = 1.key\n"
        self.refused(f"certificate = {self.folder}/1.pem: it is of replica 1, not of replica 0", 0, swapped)
        check_peer_tls(self.config(swapped), 1)
        for uris, why in (
            (["epaxos://away/0"], "it is of cluster 'away', here it is 'example'"),
            ([], "it names no member: it has no URI epaxos://example/NUMBER"),
            (["epaxos://example/0", "epaxos://example/1"], "it names 2 members, and has to name one"),
        ):
            self.authority.certify(self.folder, 0, *uris)
            self.refused(f"certificate = {self.folder}/0.pem: {why}")

    def check(self, id: int) -> tuple[object, str]:
        """The exit status of `--check`, or its line, and its output."""
        self.patch(sys, "stdout", output := StringIO())
        with self.assertRaises(SystemExit) as end:
            Options().parseOptions(["--check", "--id", str(id), "--config", str(self.folder / "cluster.ini")])
        return end.exception.code, output.getvalue()

    def test_check(self) -> None:
        self.config()
        status, output = self.check(0)
        self.assertEqual(status, 0)
        self.assertIn("cluster.ini: good; replica 0 of 3", output)
        (self.folder / "0.key").write_bytes((self.folder / "1.key").read_bytes())
        status, _ = self.check(0)
        self.assertEqual(
            status,
            f"epaxos: {self.folder}/cluster.ini: [security] key = {self.folder}/0.key: is not the key of"
            f" {self.folder}/0.pem",
        )

    def test_without_the_libraries(self) -> None:
        """One line, and nothing of them is needed where peer_tls is off."""
        for settings, status, line in (
            (ON, 1, "[security] peer_tls = yes: needs the libraries of TLS: pip install 'epaxos[tls]'"),
            ("", 0, ""),
        ):
            path = self.config(settings).path
            done = subprocess.run(
                [sys.executable, "-c", _WITHOUT_TLS, str(path)], cwd=ROOT, capture_output=True, text=True
            )
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertEqual(done.stderr, f"epaxos: {path}: {line}\n" if line else "")


class FitTests(ConfigCase):
    """What peer_tls does not go with."""

    def test_udp(self) -> None:
        self.refused(
            example(2, transport="udp") + ON,
            "[security] peer_tls = yes: is not for transport = udp, which proves nobody",
        )

    def test_endpoints_that_speak_tls(self) -> None:
        here = "peer = tcp:7000:interface=127.0.0.1"
        why = (
            "speaks TLS by itself, which asks for no certificate of those that dial; with [security]"
            " peer_tls = yes give an endpoint without TLS, such as tcp:"
        )
        for key, endpoint, other in (
            ("peer", "ssl:7000:privateKey=a.pem", "peer_connect = tcp:a.example:7000"),
            ("peer", "haproxy:ssl:7000:privateKey=a.pem", "peer_connect = tcp:a.example:7000"),
            ("peer_connect", "tls:a.example:7000:trustRoots=/etc", "peer = tcp:7000"),
            ("peer_connect", "ssl:a.example:7000", "peer = tcp:7000"),
        ):
            text = example(2).replace(here, f"{key} = {endpoint}\n{other}")
            self.load(text)
            self.refused(text + ON, f"[replica 0] {key} = {endpoint}: {why}")

    def test_endpoints_without_tls(self) -> None:
        here = "peer = tcp:7000:interface=127.0.0.1"
        for mine in ("peer = unix:/run/0.sock", "peer = tcp:7000\npeer_connect = tcp:ssl:7000"):
            self.load(example(2).replace(here, mine) + ON)


class DocsTests(SynchronousTestCase):
    def test_the_commands_of_the_page(self) -> None:
        """docs: operating/tls, "Make the certificates"."""
        if shutil.which("openssl") is None:
            raise SkipTest("needs openssl")
        page = PAGE.read_text(encoding="utf-8")
        commands, _ = re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        settings, for_clients, _ = re.findall(r"^```ini\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        done = subprocess.run(["sh", "-e"], input=commands, cwd=folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        strictly = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "0.pem", "1.pem", "2.pem"]
        done = subprocess.run(strictly, cwd=folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        path = folder / "cluster.ini"
        replicas = example(3).partition("\n\n")[2]
        path.write_text(settings.replace("/etc/epaxos", str(folder)) + replicas)
        for id in range(3):
            config = load(path)
            self.assertEqual(config.cluster.name, "shop")
            check_peer_tls(config, id)
            self.assertRaises(ConfigError, check_peer_tls, config, 3)
        path.write_text("[cluster]\nname = shop\n" + for_clients.replace("/etc/epaxos", str(folder)))
        check_client_tls(load(path), 0)
