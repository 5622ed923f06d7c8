"""What INFO, CLIENT LIST and CONFIG GET show is so."""

from __future__ import annotations

import os

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from tests.resp.lab import (
    Server,
    encode,
)


class FactTests(SynchronousTestCase):
    """What INFO, CLIENT LIST and CONFIG GET show is so."""

    def setUp(self) -> None:
        self.server = Server()
        self.connection, self.wire = self.server.connect()

    def ask(self, *commands: str) -> str:
        self.wire.clear()
        self.connection.dataReceived(encode(*commands))
        self.server.replica.run()
        return self.wire.value().decode()

    def info(self, *sections: str) -> dict[str, str]:
        lines = self.ask(" ".join(["INFO", *sections])).split("\r\n")
        return {name: value for name, _, value in (line.partition(":") for line in lines[1:]) if value}

    def test_counts(self) -> None:
        before = int(self.info()["total_commands_processed"])
        self.ask(*["SET a 1"] * 10, "SET b 2", "NOPE", "PING", "SET")
        self.server.factory.shared.receive([(self.connection, encode("GET a", "GET b"))])
        info = self.info()
        self.assertEqual(int(info["total_commands_processed"]) - before, 11 + 1 + 2 + 1)
        self.assertEqual(info["db0"], "keys=2,expires=0,avg_ttl=0")
        self.assertEqual(info["total_connections_received"], "1")
        self.ask("FLUSHALL", "CONFIG RESETSTAT")
        info = self.info()
        self.assertNotIn("db0", info)
        self.assertEqual(info["total_commands_processed"], "1")
        self.assertEqual(info["total_connections_received"], "0")

    def test_the_process(self) -> None:
        self.server.clock.advance(90_000)
        info = self.info("everything")
        self.assertEqual(info["process_id"], str(os.getpid()))
        self.assertEqual((info["uptime_in_seconds"], info["uptime_in_days"]), ("90000", "1"))
        self.assertRegex(info["run_id"], "^[0-9a-f]{40}$")
        self.assertEqual(info["tcp_port"], str(self.wire.getHost().port))
        resident = int(info["used_memory"])
        value = bytearray(b"x" * 50_000_000)
        self.assertGreater(int(self.info("memory")["used_memory"]), resident + len(value) // 2)
        self.assertGreaterEqual(int(info["used_memory_peak"]), resident)
        times = sum(os.times()[:2])
        self.assertLess(abs(float(info["used_cpu_user"]) + float(info["used_cpu_sys"]) - times), 5)
        for name in ("arch_bits", "cluster_enabled", "blocked_clients", "loading"):
            self.assertTrue(info[name].isdigit(), name)

    def test_sections(self) -> None:
        self.assertEqual(self.ask("INFO cluster"), "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n")
        self.assertEqual(self.ask("INFO nope"), "$0\r\n\r\n")
        self.assertLess(
            self.ask("INFO CPU Cluster").index("# CPU"), self.ask("INFO cluster cpu").index("# Cluster")
        )
        for name in ("", "all", "default", "everything", "nope ALL"):
            self.assertIn("# Server", self.ask(f"INFO {name}"), name)

    def test_machines_without_keys(self) -> None:
        self.ask("SET a 1")
        self.server.replica.keys = lambda: None  # type: ignore[method-assign]
        self.assertIn("# Keyspace\r\n", self.ask("INFO"))
        self.assertNotIn("\r\ndb0:", self.ask("INFO"))

    def test_client_list(self) -> None:
        other, _ = self.server.connect()
        self.server.clock.advance(5)
        other.dataReceived(
            encode("CLIENT SETNAME me", "CLIENT SETINFO LIB-NAME lib", "CLIENT SETINFO lib-ver 1.2")
        )
        other.dataReceived(b"*2\r\n$3\r\nGET\r\n$10\r\nabcd")
        self.server.clock.advance(3)
        self.ask("GET a")
        mine, others = self.ask("CLIENT LIST").strip().split("\n")[1:]
        self.assertIn(" age=8 idle=3 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=7 events=r ", others)
        self.assertTrue(others.startswith("id=2 addr=127.0.0.1:1234 laddr="), others)
        self.assertIn(" name=me ", others)
        self.assertIn(" cmd=client|setinfo user=default redir=-1 resp=2 lib-name=lib lib-ver=1.2", others)
        self.assertIn(" age=8 idle=0 ", mine)
        self.assertIn(" cmd=client|list ", mine)
        other.dataReceived(b"efghij\r\n" + encode("STRLEN b"))
        self.assertIn(" cmd=strlen ", self.ask("CLIENT LIST ID 2"))
        self.assertIn(" name=me ", self.ask("CLIENT LIST ID 7 2"))
        other.dataReceived(encode("CLIENT \u00e9\n"))
        self.assertIn(" cmd=NULL ", self.ask("CLIENT LIST ID 2"))
        self.assertEqual(self.ask("CLIENT LIST ID " + "1 " * 10_001), "-ERR too many client IDs\r\n")
        self.assertEqual(self.ask("CLIENT SETINFO x y"), "-ERR Unrecognized option 'x'\r\n")
        self.assertEqual(
            self.ask("CLIENT SETINFO lib-name \u00e9"),
            "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n",
        )

    def test_addresses(self) -> None:
        for address, shown in (
            (IPv4Address("TCP", "10.0.0.1", 7), "10.0.0.1:7"),
            (IPv6Address("TCP", "::1", 7), "[::1]:7"),
            (UNIXAddress(b"/s"), "unix:0"),
            (None, "unix:0"),
        ):
            self.assertEqual(self.server.factory.buildProtocol(address).session.address, shown)

    def test_verbatim_strings(self) -> None:
        self.ask("HELLO 3")
        for command in ("INFO cluster", "CLIENT INFO", "CLIENT LIST"):
            self.assertRegex(self.ask(command), r"^=\d+\r\ntxt:")

    def test_config_get(self) -> None:
        for patterns, found in (
            ("MaxMemory", ["MaxMemory", "0"]),
            ("nope", []),
            ("nope save MAXMEMORY maxmemory", ["save", "", "MAXMEMORY", "0"]),
            ("maxm*y MAXMEMORY", ["maxmemory", "0", "maxmemory-policy", "noeviction"]),
            ("[^a-rt-z]ave", ["save", ""]),
        ):
            reply = self.ask(f"CONFIG GET {patterns}").split("\r\n")
            self.assertEqual(reply[2::2], found, patterns)
        self.assertIn("longer than", self.ask("CONFIG GET " + "*" * 1025))
        self.assertIn("longer than", self.ask("CONFIG GET " + "a " * 600))
