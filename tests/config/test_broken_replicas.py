"""Broken sections of replicas, and the line that each gets."""

from __future__ import annotations

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import ConfigError
from tests.config.case import ConfigCase


class BrokenReplicaTests(ConfigCase):
    """Endpoints, folders, and what two replicas must not share."""

    def test_replicas(self) -> None:
        """Something of the example replaced, and what is said of it."""
        local = ":interface=127.0.0.1"
        valid = "a valid one is tcp:7000:interface=127.0.0.1"
        for old, new, expected in (
            ("name = example\n", "", "[cluster] name: is missing"),
            (f"client = tcp:7101{local}\n", "", "[replica 1] client: is missing"),
            ("data = ../data/2\n", "", "[replica 2] data: is missing"),
            ("data = ../data/2", "data =", "[replica 2] data = : is not a folder"),
            (
                "data = ../data/2",
                "data = ../data/x/../1",
                "[replica 2] data = {data}/1: is the folder of [replica 1] too",
            ),
            (
                "status = tcp:7202",
                "sattus = tcp:7202",
                "[replica 2] sattus: unknown key; did you mean 'status'?",
            ),
            (
                f"status = tcp:7202{local}",
                f"status = tcp:7202{local}\nclient_tls = tcp:7102{local}",
                f"[replica 2] client_tls = tcp:7102{local}: port 7102 of 127.0.0.1 is taken by"
                " [replica 2] client",
            ),
            (
                f"status = tcp:7202{local}",
                f"status = tcp:7202{local}\nclient_tls = ssl:7302",
                "[replica 2] client_tls = ssl:7302: speaks TLS by itself; give an endpoint without TLS,"
                " such as tcp:",
            ),
            (
                f"client = tcp:7102{local}",
                "client = 7102",
                f"[replica 2] client = 7102: is not an endpoint: there is no endpoint type '7102'; {valid}",
            ),
            (
                f"client = tcp:7102{local}",
                "client = tcp",
                f"[replica 2] client = tcp: is not an endpoint: its port is missing; {valid}",
            ),
            (
                f"client = tcp:7102{local}",
                "client = tcp:redis",
                f"[replica 2] client = tcp:redis: is not an endpoint: 'redis' is not a number; {valid}",
            ),
            (
                f"client = tcp:7102{local}",
                "client = tcp:71020",
                "[replica 2] client = tcp:71020: is not an endpoint:"
                f" the port must be 1 to 65535, not '71020'; {valid}",
            ),
            (
                f"client = tcp:7102{local}",
                "client = tcp:7102:host=x",
                "[replica 2] client = tcp:7102:host=x: is not an endpoint:"
                f" it has no argument 'host'; {valid}",
            ),
            (
                f"client = tcp:7102{local}",
                "client = tcp:1:2:3:4:5",
                f"[replica 2] client = tcp:1:2:3:4:5: is not an endpoint: wrong number of arguments; {valid}",
            ),
            (
                f"client = tcp:7102{local}",
                "client = unix:",
                f"[replica 2] client = unix:: is not an endpoint: the path of the socket is missing; {valid}",
            ),
            (
                f"peer = tcp:7002{local}",
                "peer = tcp:7002",
                "[replica 2] peer_connect: is missing; peer = tcp:7002 does not say how the others reach it,"
                " for example tcp:127.0.0.1:7000",
            ),
            (
                f"peer = tcp:7002{local}",
                "peer = tcp:7002\npeer_connect = tcp:host",
                "[replica 2] peer_connect = tcp:host: is not an endpoint: its port is missing;"
                " a valid one is tcp:127.0.0.1:7000",
            ),
            (
                f"peer = tcp:7002{local}",
                "peer = tcp:7002\npeer_connect = tcp:10.0..1:7002",
                "[replica 2] peer_connect = tcp:10.0..1:7002: is not an endpoint: '10.0..1' is not the name"
                " of a host; a valid one is tcp:127.0.0.1:7000",
            ),
            (
                f"peer = tcp:7002{local}",
                "peer = tcp:7002\npeer_connect = tcp:127.0.0.1:7001",
                "[replica 2] peer_connect = tcp:127.0.0.1:7001: is that of [replica 1] too",
            ),
            (
                f"status = tcp:7202{local}",
                f"status = tcp:7202{local}\nclient_connect = tcp:{'a' * 50}{'.a' * 100}:7102",
                f"[replica 2] client_connect = tcp:{'a' * 50}{'.a' * 100}:7102:"
                " is longer than 256 bytes, or not printable",
            ),
            (
                f"status = tcp:7202{local}",
                f"status = tcp:7202{local}\nclient_connect = udp:127.0.0.1:7102",
                "[replica 2] client_connect = udp:127.0.0.1:7102: is not an endpoint:"
                " there is no endpoint type 'udp'; a valid one is tcp:127.0.0.1:7000",
            ),
            (
                f"status = tcp:7202{local}",
                f"status = tcp:7102{local}",
                f"[replica 2] status = tcp:7102{local}:"
                " port 7102 of 127.0.0.1 is taken by [replica 2] client",
            ),
            (
                f"client = tcp:7102{local}",
                f"client = tcp:7001{local}",
                f"[replica 2] client = tcp:7001{local}: port 7001 of 127.0.0.1 is taken by [replica 1] peer",
            ),
            (
                f"client = tcp:7102{local}",
                "client = tcp:7101",
                "[replica 2] client = tcp:7101: port 7101 is taken by [replica 1] client",
            ),
            (
                f"client = tcp:7102{local}",
                f"client = ssl:7101{local}:privateKey=x",
                f"[replica 2] client = ssl:7101{local}:privateKey=x:"
                " port 7101 of 127.0.0.1 is taken by [replica 1] client",
            ),
        ):
            text = example(3)
            self.assertIn(old, text)
            path = self.write(text.replace(old, new, 1))
            with self.assertRaises(ConfigError) as caught:
                load(path)
            data = path.absolute().parent.parent / "data"
            self.assertEqual(str(caught.exception), f"{path}: {expected.replace('{data}', str(data))}")

    def test_udp(self) -> None:
        """Something of the example with UDP replaced, and what is said of it."""
        local = ":interface=127.0.0.1"
        server = "a valid one is udp:7000:interface=127.0.0.1"
        client = "a valid one is udp:127.0.0.1:7000"
        for old, new, expected in (
            (
                "transport = udp\n",
                "",
                f"[replica 0] peer = udp:7000{local}: is not for transport = tcp;"
                " a valid one is tcp:7000:interface=127.0.0.1",
            ),
            (
                f"peer = udp:7001{local}",
                f"peer = tcp:7001{local}",
                f"[replica 1] peer = tcp:7001{local}: is not for transport = udp; {server}",
            ),
            (
                f"peer = udp:7001{local}",
                "peer = udp:7001\npeer_connect = tcp:127.0.0.1:7001",
                f"[replica 1] peer_connect = tcp:127.0.0.1:7001: is not for transport = udp; {client}",
            ),
            (
                f"peer = udp:7001{local}",
                "peer = udp:7001",
                "[replica 1] peer_connect: is missing; peer = udp:7001 does not say how the others"
                " reach it, for example udp:127.0.0.1:7000",
            ),
            *(
                (
                    f"peer = udp:7001{local}",
                    f"peer = {wrong}",
                    f"[replica 1] peer = {wrong}: is not an endpoint: {why}; {server}",
                )
                for wrong, why in (
                    ("udp", "it is made of a port and its interface"),
                    ("udp:127.0.0.1:7001", "it is made of a port and its interface"),
                    ("udp:x", "the port must be 1 to 65535, not 'x'"),
                    ("udp:0", "the port must be 1 to 65535, not '0'"),
                    ("udp:7001:backlog=5", "it has no argument 'backlog'"),
                    ("udp:7001:interface=eth0", "'eth0' is not an IP address"),
                )
            ),
            *(
                (
                    f"peer = udp:7001{local}",
                    f"peer = udp:7001\npeer_connect = {wrong}",
                    f"[replica 1] peer_connect = {wrong}: is not an endpoint: {why}; {client}",
                )
                for wrong, why in (
                    ("udp:7001", "it is made of an address and a port"),
                    ("udp:one.example:7001", "'one.example' is not an IP address"),
                    ("udp:0.0.0.0:7001", "0.0.0.0 is not the address of one host"),
                    ("udp:10.0.0.1:70010", "the port must be 1 to 65535, not '70010'"),
                    ("udp:10.0.0.1:7001:bindAddress=x", "it has no argument 'bindAddress'"),
                )
            ),
            (
                f"peer = udp:7001{local}",
                r"peer = udp:7001:interface=\:\:1",
                r"[replica 1] peer_connect = udp:\:\:1:7001: is of IPv6, and [replica 2] of IPv4;"
                " give all peers addresses of one kind, and an interface of it",
            ),
            (
                f"peer = udp:7001{local}",
                f"peer = udp:7000{local}",
                "[replica 1] peer_connect = udp:127.0.0.1:7000: is that of [replica 0] too",
            ),
            (
                f"client = tcp:7101{local}",
                f"client = udp:7101{local}",
                f"[replica 1] client = udp:7101{local}: is not an endpoint:"
                " there is no endpoint type 'udp'; a valid one is tcp:7000:interface=127.0.0.1",
            ),
        ):
            text = example(3, transport="udp")
            self.assertIn(old, text)
            self.refused(text.replace(old, new, 1), expected)

    def test_same_socket(self) -> None:
        text = example(2)
        for id in range(2):
            text = text.replace(f"client = tcp:{7100 + id}:interface=127.0.0.1", "client = unix:/run/redis")
        self.refused(
            text, "[replica 1] client = unix:/run/redis: socket /run/redis is taken by [replica 0] client"
        )
