"""Real clients of real replicas, by TLS: redis-cli, redis-py and epaxosctl."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import redis
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until
from tests.transport.certificates import Authority

PASSWORD = "open sesame"
SECURITY = f"""
[security]
requirepass = {PASSWORD}
tls_auth_clients = optional
status_tls = yes
status_token = t
"""


class ClientTlsTests(SynchronousTestCase):
    timeout = 120

    def certify(self, cluster: Cluster, authority: Authority) -> None:
        text = authority.issue("127.0.0.1").read_bytes()
        for name in ("0.pem", "0.key"):
            (cluster.folder / name).write_bytes(text)

    def client(self, cluster: Cluster, shows: Path) -> redis.Redis:
        return redis.Redis(
            port=self.port(cluster),
            host="127.0.0.1",
            password=PASSWORD,
            ssl=True,
            ssl_ca_certs=str(cluster.folder / "ca.pem"),
            ssl_certfile=str(shows),
            ssl_keyfile=str(shows),
            socket_timeout=20,
        )

    @staticmethod
    def port(cluster: Cluster) -> int:
        return cluster.redis_ports[0] + 200

    def fingerprint(self, cluster: Cluster) -> str:
        return ssl.get_server_certificate(("127.0.0.1", self.port(cluster)))

    def status(self, cluster: Cluster, *header: str) -> int:
        context = ssl.create_default_context(cafile=str(cluster.folder / "ca.pem"))
        request = Request(f"https://127.0.0.1:{cluster.status_ports[0]}/status")
        if header:
            request.add_header(*header)
        try:
            with urlopen(request, timeout=20, context=context) as answer:
                return int(answer.status)
        except HTTPError as error:
            error.close()
            return error.code

    def test_clients(self) -> None:
        program = shutil.which("redis-cli")
        if program is None:
            raise SkipTest("redis-cli is not installed")
        with Cluster(1, SECURITY) as cluster:
            own = f"client_tls = tcp:{self.port(cluster)}:interface=127.0.0.1\nstatus = "
            cluster.config.write_text(cluster.config.read_text().replace("status = ", own))
            authority = Authority(cluster.folder / "authority")
            ca = cluster.folder / "ca.pem"
            ca.write_bytes(authority.root.read_bytes())
            self.certify(cluster, authority)
            cluster.start()
            wait_until("it is ready", lambda: "is ready for clients" in cluster.log(0))

            at = ["--tls", "--cacert", str(ca), "-p", str(self.port(cluster))]
            for words, reply in (
                (["set", "a", "1"], "NOAUTH Authentication required."),
                (["--no-auth-warning", "-a", PASSWORD, "set", "a", "1"], "OK"),
            ):
                done = subprocess.run(
                    [program, *at, *words], stdout=subprocess.PIPE, text=True, timeout=30, check=True
                )
                self.assertEqual(done.stdout.strip(), reply)

            shows = authority.issue("alice")
            before = self.client(cluster, shows)
            self.assertEqual(before.get("a"), b"1")
            numbers = [client["id"] for client in before.client_list()]
            self.assertIn(str(before.client_id()), numbers)
            self.assertEqual(self.status(cluster), 401)
            self.assertEqual(self.status(cluster, "Authorization", "Bearer t"), 200)

            ctl = [sys.executable, "-m", "epaxos.ctl", "--at", f"127.0.0.1:{self.port(cluster)}"]
            ctl += ["--tls", "--cacert", str(ca), "--password", PASSWORD, "wait-ready"]
            self.assertEqual(subprocess.run(ctl, timeout=60).returncode, 0)

            was = self.fingerprint(cluster)
            self.certify(cluster, authority)
            text = cluster.config.read_text().replace("status_token = t", "status_token = u")
            cluster.config.write_text(text)
            self.hang_up(cluster, "changed: [security] status_token")
            self.assertNotEqual(self.fingerprint(cluster), was)
            self.assertEqual(before.get("a"), b"1")
            self.assertEqual(self.status(cluster, "Authorization", "Bearer t"), 401)
            self.assertEqual(self.status(cluster, "Authorization", "Bearer u"), 200)

            was = self.fingerprint(cluster)
            (cluster.folder / "0.key").write_text("nothing")
            self.hang_up(cluster, "reload: nothing is changed: ")
            self.assertEqual(self.fingerprint(cluster), was)
            self.assertEqual((before.get("a"), before.client_id()), (b"1", before.client_id()))
            before.close()
            self.assertEqual(cluster.terminate(0), 0)

    def hang_up(self, cluster: Cluster, line: str) -> None:
        cluster.processes[0].send_signal(signal.SIGHUP)
        wait_until(f"the log says {line!r}", lambda: line in cluster.log(0))
