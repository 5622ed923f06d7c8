"""Addresses as an operator writes them, and those that the endpoints of members lead to."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.ctl.address import Address, client_address, parse_address


class WrittenTests(SynchronousTestCase):
    def test_good_ones(self) -> None:
        for text, address in (
            ("127.0.0.1:7100", Address("127.0.0.1", 7100)),
            ("host.example:1", Address("host.example", 1)),
            ("[::1]:7100", Address("::1", 7100)),
            ("[10.0.0.1]:65535", Address("10.0.0.1", 65535)),
            ("/run/epaxos/0.sock", Address("", path="/run/epaxos/0.sock")),
            ("./a:b", Address("", path="./a:b")),
        ):
            self.assertEqual(parse_address(text), address, text)

    def test_as_they_were_written(self) -> None:
        for text in ("127.0.0.1:7100", "[::1]:7100", "/run/epaxos/0.sock"):
            self.assertEqual(str(parse_address(text)), text)

    def test_bad_ones(self) -> None:
        for text, why in (
            ("", "neither HOST:PORT nor"),
            ("7100", "neither HOST:PORT nor"),
            (":7100", "neither HOST:PORT nor"),
            ("[]:7100", "neither HOST:PORT nor"),
            ("::1:7100", "in brackets"),
            ("host:", "must be 1 to 65535, not ''"),
            ("host:0", "must be 1 to 65535"),
            ("host:65536", "must be 1 to 65535"),
            ("host:-1", "must be 1 to 65535"),
            ("host:٣", "must be 1 to 65535"),
        ):
            error = self.assertRaises(ValueError, parse_address, text)
            self.assertIn(why, str(error), text)


class EndpointTests(SynchronousTestCase):
    """Where a member is asked."""

    def check(self, client: str, peer: str, at: str, expected: str) -> None:
        self.assertEqual(str(client_address(client, peer, parse_address(at))), expected, (client, peer, at))

    def test_where_it_listens(self) -> None:
        peer = "tcp:10.0.0.2:7000"
        self.check("tcp:7100:interface=10.0.0.1", peer, "10.9.9.9:1", "10.0.0.1:7100")
        self.check("tcp:7100:interface=127.0.0.1", peer, "10.9.9.9:1", "127.0.0.1:7100")
        self.check(r"tcp6:7100:interface=\:\:1", peer, "10.9.9.9:1", "[::1]:7100")
        self.check("unix:/run/a.sock", peer, "10.9.9.9:1", "/run/a.sock")

    def test_every_interface_of_its_host(self) -> None:
        """The host is that of its peer endpoint, in whatever form that names one."""
        for client in (
            "tcp:7100",
            "tcp:7100:interface=0.0.0.0",
            r"tcp6:7100:interface=\:\:",
            "tcp:port=7100",
        ):
            for peer in (
                "tcp:10.0.0.2:7000",
                "tcp:host=10.0.0.2:port=7000",
                "tcp:7000:interface=10.0.0.2",
                "udp:10.0.0.2:7000",
                "udp:7000:interface=10.0.0.2",
                "ssl:10.0.0.2:7000:caCertsDir=/etc/ca",
            ):
                self.check(client, peer, "10.9.9.9:1", "10.0.0.2:7100")
        self.check("tcp:7100", r"tcp:2001\:db8\:\:1:7000", "10.9.9.9:1", "[2001:db8::1]:7100")

    def test_the_same_host_as_the_one_that_was_asked(self) -> None:
        """Loopback is there another host than here."""
        for peer in (
            "tcp:127.0.0.1:7000",
            "tcp:7000:interface=127.0.0.1",
            r"tcp:\:\:1:7000",
            "tcp:localhost:7000",
            "tcp:7000",
            "tcp:7000:50",
            "tcp:7000:interface=0.0.0.0",
            "unix:/run/peer.sock",
        ):
            self.check("tcp:7101", peer, "10.9.9.9:7100", "10.9.9.9:7101")
            self.check("tcp:7101", peer, "/run/0.sock", "127.0.0.1:7101")

    def test_what_cannot_be_asked(self) -> None:
        for client in ("ssl:7100:privateKey=k", "systemd:domain=INET:index=0"):
            error = self.assertRaises(
                ValueError, client_address, client, "tcp:10.0.0.2:7000", Address("127.0.0.1", 7100)
            )
            self.assertIn(client, str(error))
