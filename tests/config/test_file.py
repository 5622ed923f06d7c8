"""The configuration: what a good file gives, and the line that each broken one gets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.endpoints import check_client, check_server, client_for
from epaxos.config.file import Config, ConfigError, Limits, Storage, example, load
from epaxos.config.settings import CLUSTER, SETTINGS
from epaxos.node.limits import Batching
from epaxos.protocol.values.timing import Timing

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / "cluster.ini"
_WITHOUT_TLS = """
import sys
from pathlib import Path
sys.modules["OpenSSL"] = None
from twisted.internet.testing import MemoryReactorClock
from epaxos.config.file import ConfigError, load
config, reactor = load(Path(sys.argv[1])), MemoryReactorClock()
try:
    config.listening(0, "peer", reactor)
    config.connecting(1, reactor)
except ConfigError as error:
    print(error)
"""


class ConfigCase(SynchronousTestCase):
    def write(self, text: str | bytes) -> Path:
        path = Path(self.mktemp())
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def load(self, text: str) -> Config:
        return load(self.write(text))

    def refused(self, text: str | bytes, expected: str) -> None:
        """The line, after the name of the file, is exactly this."""
        path = self.write(text)
        with self.assertRaises(ConfigError) as caught:
            load(path)
        self.assertEqual(str(caught.exception), f"{path}: {expected}")


class GoodTests(ConfigCase):
    def test_the_example_file(self) -> None:
        """It is what `example` makes, and all its settings are the defaults."""
        config = load(CONF)
        self.assertEqual(config.cluster, "example")
        self.assertEqual((config.state_machine, config.transport), ("kv", "tcp"))
        self.assertEqual(config.timing, Timing())
        self.assertEqual(config.batching, Batching())
        self.assertEqual(config.limits, Limits())
        self.assertEqual(config.storage, Storage())
        self.assertEqual(config.state_machine_options, {})
        self.assertEqual(config.n, 3)
        root = CONF.parents[1]
        for id in range(3):
            replica = config.replica(id)
            self.assertEqual(replica.id, id)
            self.assertEqual(replica.peer, f"tcp:{7000 + id}:interface=127.0.0.1")
            self.assertEqual(replica.peer_connect, f"tcp:127.0.0.1:{7000 + id}")
            self.assertEqual(replica.client, f"tcp:{7100 + id}:interface=127.0.0.1")
            self.assertEqual(replica.status, f"tcp:{7200 + id}:interface=127.0.0.1")
            self.assertEqual(replica.data, root / "data" / str(id))
        path = Path(self.mktemp()) / "conf" / "cluster.ini"
        path.parent.mkdir(parents=True)
        path.write_text(example())
        for made, written in zip(load(path).replicas, config.replicas):
            self.assertEqual(made, replace(written, data=path.absolute().parents[1] / "data" / str(made.id)))

    def test_the_example_documents_every_setting(self) -> None:
        """What it shows as a comment are all settings there are, with their defaults."""
        text = CONF.read_text()
        shown = re.findall(r"^;?(\w+) = ", text, re.M)
        known = [key for keys in (CLUSTER, *SETTINGS.values()) for key in keys]
        self.assertEqual([key for key in shown if key in known], known)
        uncommented = self.load(re.sub(r"^;(?=\w+ = )", "", text, flags=re.M))
        plain = self.load(text)
        self.assertEqual(uncommented.timing, plain.timing)
        self.assertEqual(uncommented.batching, plain.batching)
        self.assertEqual(uncommented.limits, plain.limits)
        self.assertEqual(uncommented.storage, plain.storage)
        self.assertEqual(uncommented.state_machine, plain.state_machine)

    def test_every_setting_is_somewhere(self) -> None:
        """Each key of the file is a field, and each field has a key."""
        fields = [name for kind in (Timing, Batching, Limits, Storage) for name in kind.__dataclass_fields__]
        self.assertEqual(sorted(fields), sorted(key for keys in SETTINGS.values() for key in keys))

    def test_settings(self) -> None:
        config = self.load(
            "[timing]\nheartbeat_s = 1\nsuspect_after_s = 5.5\n[batch]\nwindow = 3\n"
            "[limits]\nclients_max = 1_000\nrequest_timeout_s = 2\n"
            "[storage]\nengine = memory\nsync = no\ncheckpoint_s = .5\n"
            "[state_machine]\nSome Option = 100 % = x\n" + example(1)
        )
        self.assertEqual(config.timing, Timing(heartbeat_s=1, suspect_after_s=5.5))
        self.assertEqual(config.batching, Batching(window=3, request_timeout_s=2, checkpoint_s=0.5))
        self.assertEqual(config.limits, Limits(clients_max=1000))
        self.assertEqual(config.storage, Storage("memory", False))
        self.assertEqual(config.state_machine_options, {"Some Option": "100 % = x"})

    def test_folders(self) -> None:
        """Relative to the file's folder, wherever the process is."""
        path = self.write(example(1, data="x/../y")).absolute()
        self.assertEqual(load(path).replica(0).data, path.parent / "y" / "0")
        self.assertEqual(load(os.path.relpath(path)).replica(0).data, path.parent / "y" / "0")
        self.assertEqual(self.load(example(1, data="/var/lib")).replica(0).data, Path("/var/lib/0"))

    def test_several_machines(self) -> None:
        """Ports and folders may be the same where the machines are not."""
        one = "client = tcp:6379\nstatus = tcp:8080\ndata = /var/lib/epaxos\n"
        config = self.load(
            f"[cluster]\nname = c\n[replica 0]\npeer = tcp:7000:interface=10.0.0.1\n{one}"
            f"[replica 1]\npeer = tcp:7000\npeer_connect = tcp:ten.example:7000\n{one}"
            f"[replica 2]\npeer = ssl:7000:privateKey=key.pem\npeer_connect = ssl:two.example:7000\n{one}"
            f"[replica 3]\npeer = systemd:domain=INET:index=0\npeer_connect = tcp:10.0.0.3:7000\n{one}"
        )
        self.assertEqual(config.replica(0).peer_connect, "tcp:10.0.0.1:7000")
        self.assertEqual(config.replica(1).peer_connect, "tcp:ten.example:7000")

    def test_endpoints(self) -> None:
        config = self.load(example(3))
        reactor = MemoryReactorClock()
        for key in ("peer", "client", "status"):
            self.assertIsInstance(config.listening(0, key, reactor), TCP4ServerEndpoint)
        self.assertEqual(sorted(config.connecting(1, reactor)), [0, 2])

    def test_endpoint_of_a_missing_certificate(self) -> None:
        text = example(1).replace("client = tcp:7100", "client = ssl:7100:privateKey=/no/such/key.pem")
        config = self.load(text)
        with self.assertRaises(ConfigError) as caught:
            config.listening(0, "client", MemoryReactorClock())
        self.assertIn("[replica 0] client = ssl:7100:privateKey=/no/such/key.pem:", str(caught.exception))

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

    def test_other_id(self) -> None:
        path = self.write(example(3))
        for id in (3, -1):
            with self.assertRaises(ConfigError) as caught:
                load(path).replica(id)
            self.assertEqual(
                str(caught.exception), f"{path}: there is no section [replica {id}]; the replicas are 0, 1, 2"
            )

    def test_udp(self) -> None:
        config = self.load(example(3, transport="udp"))
        self.assertEqual(config.transport, "udp")
        self.assertEqual(config.udp_listening(1), ("127.0.0.1", 7001))
        self.assertEqual(config.udp_peers(1), {0: ("127.0.0.1", 7000), 2: ("127.0.0.1", 7002)})
        elsewhere = "client = tcp:7000\nstatus = tcp:8080\ndata = /var/lib/epaxos\n"
        config = self.load(
            f"[cluster]\nname = c\ntransport = udp\n"
            f"[replica 0]\npeer = udp:7000:interface=\\:\\:\npeer_connect = udp:fe80\\:\\:1:7000\n{elsewhere}"
            f"[replica 1]\npeer = udp:7000:interface=FE80\\:\\:0002\n{elsewhere}"
        )
        self.assertEqual(config.udp_listening(0), ("::", 7000))
        self.assertEqual(config.udp_peers(0), {1: ("fe80::2", 7000)})
        self.assertEqual(config.udp_peers(1), {0: ("fe80::1", 7000)})

    def test_udp_and_tcp_do_not_share_ports(self) -> None:
        text = example(2, transport="udp").replace("client = tcp:7100", "client = tcp:7000")
        self.assertEqual(self.load(text).replica(0).client, "tcp:7000:interface=127.0.0.1")

    def test_derived_clients(self) -> None:
        for server, client in (
            ("tcp:7000:interface=127.0.0.1", "tcp:127.0.0.1:7000"),
            ("tcp:port=7000:interface=::1".replace("::", r"\:\:"), r"tcp:\:\:1:7000"),
            (r"tcp6:7000:interface=fe80\:\:1", r"tcp:fe80\:\:1:7000"),
            (r"unix:/run/a\:b", r"unix:/run/a\:b"),
            ("unix:address=/run/x:mode=600", "unix:/run/x"),
            ("tcp:7000", None),
            ("tcp:7000:interface=0.0.0.0", None),
            ("ssl:7000:interface=127.0.0.1", None),
            ("systemd:domain=INET:index=0", None),
        ):
            check_server(server)
            self.assertEqual(client_for(server), client)
            if client is not None:
                check_client(client)


class BrokenTests(ConfigCase):
    def test_files(self) -> None:
        known = "cluster, timing, batch, limits, storage, state_machine, replica 0"
        for text, expected in (
            ("", "is empty; conf/cluster.ini is an example"),
            ("# nothing\n\n", "is empty; conf/cluster.ini is an example"),
            (b"[cluster]\nname = \xff\xfe\n", "is not UTF-8 text (byte 17)"),
            ("name = x\n", "line 1: is neither [SECTION] nor KEY = VALUE"),
            ("[cluster]\nname\n", "line 2: is neither [SECTION] nor KEY = VALUE"),
            ("[cluster]\nname = a\n[cluster]\n", "line 3: [cluster] is there twice"),
            ("[cluster]\nname = a\nname = b\n", "line 3: [cluster] name: is there twice"),
            ("[cluster]\nname = a\n", "the section [replica 0] is missing"),
            (example(3).replace("[cluster]\nname = example\n", ""), "the section [cluster] is missing"),
            (
                example(3).replace("[replica 1]", "[replica 3]"),
                "the section [replica 1] is missing; replicas are 0, 1, 2 … without a gap",
            ),
            ("[clutser]\nname = x\n", "[clutser]: unknown section; did you mean 'cluster'?"),
            ("[replica 00]\n", "[replica 00]: unknown section; did you mean 'replica 0'?"),
            ("[DEFAULT]\nname = x\n", f"[DEFAULT]: unknown section; known are {known}"),
            ("[xyz]\n" + example(1), f"[xyz]: unknown section; known are {known}"),
        ):
            self.refused(text, expected)

    def test_unreadable(self) -> None:
        missing = self.mktemp()
        folder = self.mktemp()
        os.mkdir(folder)
        for path, why in ((missing, "No such file or directory"), (folder, "Is a directory")):
            with self.assertRaises(ConfigError) as caught:
                load(path)
            self.assertEqual(str(caught.exception), f"{path}: cannot be read: {why}")

    def test_values(self) -> None:
        """A line added to a section, and what is said of it."""
        for section, line, expected in (
            ("cluster", "nmae = x", "nmae: unknown key; did you mean 'name'?"),
            ("cluster", "zzz = x", "zzz: unknown key; known are name, state_machine, transport"),
            ("cluster", "transport = ip", "transport = ip: is not known; allowed: tcp, udp"),
            (
                "cluster",
                "state_machine = a b",
                "state_machine = a b: is not a name; allowed: 1 to 64 of the characters A-Z a-z 0-9 _ . -",
            ),
            ("timing", "Heartbeat_s = 1", "Heartbeat_s: unknown key; did you mean 'heartbeat_s'?"),
            (
                "timing",
                "heartbeat_s = fast",
                "heartbeat_s = fast: is not a number of seconds; allowed: 0.01 to 60",
            ),
            ("timing", "heartbeat_s = 0", "heartbeat_s = 0: is out of range; allowed: 0.01 to 60"),
            ("timing", "heartbeat_s = nan", "heartbeat_s = nan: is out of range; allowed: 0.01 to 60"),
            ("timing", "resend_s = inf", "resend_s = inf: is out of range; allowed: 0.01 to 60"),
            ("timing", "heartbeat_s =", "heartbeat_s = : is not a number of seconds; allowed: 0.01 to 60"),
            (
                "timing",
                "heartbeat_s = 0.5",
                "suspect_after_s = 1: must be more than twice heartbeat_s = 0.5",
            ),
            (
                "timing",
                "heartbeat_s = 1\n  2",
                "heartbeat_s: goes on in an indented line; give it in one line",
            ),
            ("batch", "window = 1.5", "window = 1.5: is not a whole number; allowed: 1 to 10_000"),
            ("batch", "window = 0", "window = 0: is out of range; allowed: 1 to 10_000"),
            (
                "limits",
                "clients_max = " + 400 * "9",
                f"clients_max = {400 * '9'}: is out of range; allowed: 1 to 1_000_000",
            ),
            ("storage", "engine = disk", "engine = disk: is not known; allowed: leveldb, memory"),
            ("storage", "sync = true", "sync = true: is not known; allowed: yes, no"),
        ):
            text = example(1)
            if section == "cluster":
                text = text.replace("[cluster]\n", f"[cluster]\n{line}\n")
            else:
                text += f"\n[{section}]\n{line}\n"
            self.refused(text, f"[{section}] {expected}")

    def test_names(self) -> None:
        for name in ("", "a b", "ä", 65 * "x", "a/b"):
            self.refused(
                example(1).replace("name = example", f"name = {name}"),
                f"[cluster] name = {name}: is not a name;"
                " allowed: 1 to 64 of the characters A-Z a-z 0-9 _ . -",
            )
        self.assertEqual(self.load(example(1).replace("= example", "= " + 64 * "x")).cluster, 64 * "x")

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
                "peer = tcp:7002\npeer_connect = tcp:127.0.0.1:7001",
                "[replica 2] peer_connect = tcp:127.0.0.1:7001: is that of [replica 1] too",
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
                    ("udp:0.0.0.0:7001", "0.0.0.0 is not the address of one machine"),
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

    def test_a_datagram_has_to_hold_a_batch(self) -> None:
        self.load("[limits]\ndatagram_bytes_max = 1200\n" + example(7, transport="udp"))
        self.refused(
            "[limits]\ndatagram_bytes_max = 1200\n" + example(40, transport="udp"),
            "[limits] datagram_bytes_max = 1200: must be at least 1436 with 40 replicas",
        )

    def test_same_socket(self) -> None:
        text = example(2)
        for id in range(2):
            text = text.replace(f"client = tcp:{7100 + id}:interface=127.0.0.1", "client = unix:/run/redis")
        self.refused(
            text, "[replica 1] client = unix:/run/redis: socket /run/redis is taken by [replica 0] client"
        )
