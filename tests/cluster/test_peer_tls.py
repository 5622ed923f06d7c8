"""Real replicas that prove to each other who they are."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.transport.handshake import PeerIdentity, greet
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.frames import FrameReader, pack
from tests.cluster.certified import PEER_TLS, certify
from tests.cluster.harness import Cluster, wait_until
from tests.transport.certificates import Authority


class PeerTlsTests(SynchronousTestCase):
    def greeted(self, cluster: Cluster, files: Path, number: int, sender: int) -> wire.Answer:
        """Replica 0's answer to a stranger with this certificate, who says that it is `sender`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cluster.folder / "ca.pem")
        context.load_cert_chain(files / f"{number}.pem", files / f"{number}.key")
        port = cluster.redis_ports[0] - 100
        plain = socket.create_connection(("127.0.0.1", port), 10)
        with context.wrap_socket(plain) as stranger:
            stranger.sendall(pack([greet(PeerIdentity("example", sender, Epoch.first(3)), 0)], 1024))
            reader = FrameReader(1024)
            frames: list[bytes] = []
            while not frames:
                data = stranger.recv(1024)
                if not data:
                    raise ConnectionError("closed without an answer")
                frames = reader.feed(data)
            return wire.Answer.FromString(frames[0])

    def test_killed_and_back_and_a_stranger(self) -> None:
        with Cluster(settings=PEER_TLS) as cluster:
            authority = certify(cluster)
            cluster.start().ready()
            for id in range(3):
                self.assertIn("replicas have to prove who they are", cluster.log(id))
                cluster.client(id).set(f"key-{id}", "before")

            cluster.kill(2)
            cluster.sees_down(0, 2)
            cluster.client(0).set("meanwhile", "yes")
            cluster.start(2).ready()
            wait_until("replica 2 has caught up", lambda: cluster.client(2).get("meanwhile") == b"yes")

            connected = cluster.log(0).count("to replica 2: connected")
            why = "the dialler's certificate is of replica 1, not of replica 2"
            for _ in range(3):
                answer = self.greeted(cluster, cluster.folder, 1, sender=2)
                self.assertEqual((answer.accepted, answer.refusal), (False, why))
            self.assertEqual(cluster.log(0).count(f"from 127.0.0.1: refused: {why}"), 1)

            elsewhere = Authority(cluster.folder / "elsewhere", "elsewhere")
            elsewhere.certify(cluster.folder / "elsewhere", 2, "epaxos://example/2")
            with self.assertRaises((ssl.SSLError, OSError)):
                self.greeted(cluster, cluster.folder / "elsewhere", 2, sender=2)
            wait_until("the log says so", lambda: "its certificate has an unknown issuer" in cluster.log(0))

            authority.certify(cluster.folder / "away", 2, "epaxos://away/2")
            answer = self.greeted(cluster, cluster.folder / "away", 2, sender=2)
            self.assertEqual(
                answer.refusal, "the dialler's certificate is of cluster 'away', here it is 'example'"
            )

            for id in range(3):
                cluster.client(id).set(f"key-{id}", "after")
            self.assertEqual(
                [cluster.client(0).get(f"key-{id}") for id in range(3)], [b"after", b"after", b"after"]
            )
            cluster.equal_digests()
            for log in map(cluster.log, range(3)):
                self.assertNotIn("the replica has made a newer one", log)
            self.assertEqual(cluster.log(0).count("to replica 2: connected"), connected)

    def test_renewed_without_a_restart(self) -> None:
        """All get certificates of a new issuer, step by step; only connections are made anew."""
        with Cluster(settings=PEER_TLS) as cluster:
            certify(cluster)
            cluster.start().ready()
            old = (cluster.folder / "ca.pem").read_bytes()
            other = Authority(cluster.folder / "other", "other")
            (cluster.folder / "ca.pem").write_bytes(other.root.read_bytes() + old)
            for id in range(3):
                other.certify(cluster.folder, id, f"epaxos://example/{id}")
            (cluster.folder / "ca.pem").write_bytes(other.root.read_bytes())
            cluster.kill(1)
            cluster.sees_down(0, 1)
            cluster.start(1).ready()  # the others show it the new certificates, and take its own
            cluster.client(1).set("a", "b")
            self.assertEqual(cluster.client(2).get("a"), b"b")
            for id in (0, 2):
                self.assertIn("the certificate for replicas was read again", cluster.log(id))

    def test_who_cannot_start_says_why(self) -> None:
        with Cluster(settings=PEER_TLS) as cluster:
            certify(cluster)
            (cluster.folder / "1.key").unlink()
            cluster.start(1)
            self.assertEqual(cluster.ended(1), 1)
            (line,) = cluster.log(1).splitlines()
            self.assertEqual(
                line,
                f"epaxos: {cluster.config}: [security] key = {cluster.folder / '1.key'}: cannot be read:"
                " No such file or directory",
            )
