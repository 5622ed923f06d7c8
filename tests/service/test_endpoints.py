"""Endpoints made of a configuration, and what is said of those that cannot be made."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from epaxos.config.example import example
from epaxos.config.model import ConfigError
from epaxos.service import endpoints
from epaxos.service.configuration import load_and_check
from epaxos.service.endpoints import connecting, listening, udp_listening, udp_peers
from tests.config.case import ConfigCase

ROOT = Path(__file__).parents[2]
_WITHOUT_TLS = """
import sys
from pathlib import Path
sys.modules["OpenSSL"] = None
from twisted.internet.testing import MemoryReactorClock
from epaxos.config.file import load
from epaxos.config.model import ConfigError
from epaxos.service.endpoints import connecting, listening
config, reactor = load(Path(sys.argv[1])), MemoryReactorClock()
try:
    listening(config, 0, "peer", reactor)
    connecting(config, 1, reactor)
except ConfigError as error:
    print(error)
"""


class Adopts:
    """A reactor that writes down which sockets it adopts."""

    def __init__(self, made: list[tuple[int, Any]]) -> None:
        self.made = made

    def adoptStreamPort(self, fileno: int, family: int, factory: Factory) -> None:
        with socket.fromfd(fileno, family, socket.SOCK_STREAM) as copy:
            self.made.append((family, copy.getsockname()))


class EndpointTests(ConfigCase):
    def test_endpoints(self) -> None:
        config = self.load(example(3))
        reactor = MemoryReactorClock()
        for key in ("peer", "client", "status"):
            self.assertIsInstance(listening(config, 0, key, reactor), TCP4ServerEndpoint)
        reach = connecting(config, 1, reactor)
        for number in (0, 2):
            self.assertIsInstance(reach(number, "", True), TCP4ClientEndpoint)

    def test_at_the_address_of_a_list(self) -> None:
        """What a list says counts; where it says nothing, the configuration does."""
        reactor = MemoryReactorClock()
        reach = connecting(self.load(example(3)), 1, reactor)
        for number, address, port in ((0, "", 7000), (0, "tcp:10.0.0.7:7100", 7100), (9, "tcp:b:7200", 7200)):
            reach(number, address, True).connect(Factory())
            self.assertEqual(reactor.tcpClients[-1][1], port)
        for number, address, text in (
            (3, "", "no section \\[replica 3\\]"),
            (0, "tcp:a", "its port is missing"),
            (0, "carrier:pigeon", "no endpoint type"),
            (0, "tcp:a..b:7000", "is not the name of a host"),
            (0, "tls:a:7000:trustRoots=/no/roots", "cannot be read"),
        ):
            with self.assertRaisesRegex(ValueError, text):
                reach(number, address, True)

    def test_where_a_guest_may_be(self) -> None:
        """Anybody may ask to be dialled, so no file, program or socket of this host is used for it."""
        folder = self.mktemp()
        unix = example(2).replace("tcp:7000:interface=127.0.0.1", f"unix:{folder}")
        for text, is_unix in ((example(2), False), (unix, True)):
            reach = connecting(self.load(text), 0, MemoryReactorClock())
            reach(5, "tcp:a.example:7000", False)
            for address in (
                "ssl:a:1:certKey=/etc/passwd",
                "tls:a:1",
                "haproxy:tcp:a:1",
                "tcp:a:0",
                "tcp:a..b:1",
                f"tcp:{'a' * 64}:1",
                "udp:a:1",
            ):
                self.assertRaises(ValueError, reach, 5, address, False)
            if is_unix:
                reach(5, "unix:/tmp/there", False)
            else:
                self.assertRaises(ValueError, reach, 5, "unix:/tmp/there", False)

    def test_a_socket_of_systemd_serves_more_than_once(self) -> None:
        """A replica that begins again listens on it once more, as who connects meanwhile does not see."""
        made = []
        with socket.create_server(("127.0.0.1", 0)) as inherited:
            adopted = AdoptedStreamServerEndpoint(Adopts(made), inherited.fileno(), socket.AF_INET)
            self.patch(endpoints, "serverFromString", lambda reactor, text: adopted)
            for _ in range(2):
                endpoint = listening(self.load(example(1)), 0, "client", MemoryReactorClock())
                self.successResultOf(endpoint.listen(Factory()))
                self.assertTrue(os.get_blocking(inherited.fileno()) is False)
            self.assertEqual(made, [(socket.AF_INET, inherited.getsockname())] * 2)

    def test_what_an_endpoint_names_is_missing(self) -> None:
        """The error names the file or folder, and does not blame the endpoint."""
        here = "peer = tcp:7000:interface=127.0.0.1"
        for key, endpoint, missing in (
            ("peer", "ssl:7000:privateKey=/no/such/key.pem", "/no/such/key.pem"),
            ("peer_connect", "tls:a.example:7000:trustRoots=/no/roots", "/no/roots"),
        ):
            other = {"peer": "peer_connect = tcp:a.example:7000", "peer_connect": "peer = tcp:7000"}[key]
            config = self.load(example(2).replace(here, f"{key} = {endpoint}\n{other}"))
            with self.assertRaises(ConfigError) as caught:
                if key == "peer":
                    listening(config, 0, key, MemoryReactorClock())
                else:
                    connecting(config, 1, MemoryReactorClock())
            text = f"[replica 0] {key} = {endpoint}: {missing} cannot be read: No such file or directory"
            self.assertTrue(str(caught.exception).endswith(text), caught.exception)

    def test_tls_without_its_libraries(self) -> None:
        """Each kind of endpoint says what is missing, when a replica is to use it."""
        for key, endpoint in (
            ("peer", "ssl:7000:privateKey=key.pem"),
            ("peer_connect", "ssl:a.example:7000"),
            ("peer_connect", "ssl:a.example:7000:hostname=a.example"),
            ("peer_connect", "tls:a.example:7000:trustRoots=/etc"),
        ):
            other = {"peer": "peer_connect = tcp:a.example:7000", "peer_connect": "peer = tcp:7000"}[key]
            line = "peer = tcp:7000:interface=127.0.0.1"
            path = self.write(example(2).replace(line, f"{key} = {endpoint}\n{other}")).absolute()
            out = subprocess.run(
                [sys.executable, "-c", _WITHOUT_TLS, str(path)], cwd=ROOT, capture_output=True, text=True
            )
            self.assertEqual(
                out.stdout.strip(),
                f"{path}: [replica 0] {key} = {endpoint}: TLS needs the extra of Twisted:"
                " pip install 'twisted[tls]'",
                out.stderr,
            )

    def test_udp(self) -> None:
        config = self.load(example(3, transport="udp"))
        self.assertEqual(config.cluster.transport, "udp")
        self.assertEqual(udp_listening(config, 1), ("127.0.0.1", 7001))
        where = udp_peers(config, 1)
        self.assertEqual([where(0, ""), where(2, "")], [("127.0.0.1", 7000), ("127.0.0.1", 7002)])
        self.assertEqual(where(0, "udp:10.0.0.7:7100"), ("10.0.0.7", 7100))
        for number, address in ((3, ""), (0, "udp:a.example:7000"), (0, "tcp:10.0.0.7:7100")):
            self.assertRaises(ValueError, where, number, address)
        elsewhere = "client = tcp:7000\nstatus = tcp:8080\ndata = /var/lib/epaxos\n"
        config = self.load(
            f"[cluster]\nname = c\ntransport = udp\n"
            f"[replica 0]\npeer = udp:7000:interface=\\:\\:\npeer_connect = udp:fe80\\:\\:1:7000\n{elsewhere}"
            f"[replica 1]\npeer = udp:7000:interface=FE80\\:\\:0002\n{elsewhere}"
        )
        self.assertEqual(udp_listening(config, 0), ("::", 7000))
        self.assertEqual(udp_peers(config, 0)(1, ""), ("fe80::2", 7000))
        self.assertEqual(udp_peers(config, 1)(0, ""), ("fe80::1", 7000))

    def test_a_datagram_has_to_hold_a_batch(self) -> None:
        limits = "[limits]\ndatagram_bytes_max = 1200\n"
        load_and_check(self.write(limits + example(7, transport="udp")))
        load_and_check(self.write(limits + example(40)))
        path = self.write(limits + example(40, transport="udp"))
        with self.assertRaises(ConfigError) as caught:
            load_and_check(path)
        self.assertEqual(
            str(caught.exception),
            f"{path}: [limits] datagram_bytes_max = 1200: must be at least 1456 with 40 replicas",
        )
