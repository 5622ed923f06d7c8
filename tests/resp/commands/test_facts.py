"""What INFO, CLIENT LIST and CONFIG GET show is so."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Outcome, Unavailable
from epaxos.resp.statistics import Counted
from tests.resp.lab import (
    Server,
    encode,
)
from tests.statemachines.redis.wall_clock import WallClock


class Held:
    """Runs nothing, and answers at once."""

    def is_read(self, name: bytes) -> bool:
        return False

    def submit(self, commands: object, on_done: Callable[[Outcome], None], size_bytes: int) -> None:
        on_done(())


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
        self.server.replica.store.use_clock(WallClock(lambda: 1000.0), lambda: 5)
        self.ask("EXPIRE a 100")
        self.assertEqual(self.info("keyspace"), {"db0": "keys=2,expires=1,avg_ttl=0"})
        self.assertEqual(info["total_connections_received"], "1")
        self.ask("FLUSHALL", "CONFIG RESETSTAT")
        info = self.info()
        self.assertNotIn("db0", info)
        self.assertEqual(info["total_commands_processed"], "1")
        self.assertEqual(info["total_connections_received"], "0")

    def stats(self) -> dict[str, str]:
        return {
            name.removeprefix("cmdstat_"): value
            for name, value in self.info("commandstats").items()
            if "calls=" in value
        }

    def test_commands_by_name(self) -> None:
        self.connection.dataReceived(encode("SET a 1", "set b 2", "GET a"))
        self.server.clock.advance(0.25)
        self.server.replica.run()
        self.ask("GET a", "CLIENT ID", "PING", "PING", "GET", "NOPE x", "CLIENT NOPE")
        stats = self.stats()
        self.assertEqual(
            stats["set"], "calls=2,usec=500000,usec_per_call=250000.00,rejected_calls=0,failed_calls=0"
        )
        self.assertEqual(
            stats["get"], "calls=2,usec=250000,usec_per_call=125000.00,rejected_calls=1,failed_calls=0"
        )
        self.assertTrue(stats["ping"].startswith("calls=2,"))
        self.assertTrue(stats["client|id"].startswith("calls=1,"))
        self.assertEqual([name for name in stats if "nope" in name], [])

    def test_commands_of_a_turn_are_counted(self) -> None:
        self.server.factory.shared.receive([(self.connection, encode("GET a", "GET b"))])
        self.connection.dataReceived(encode("GET c"))
        self.server.replica.run()
        self.assertTrue(self.stats()["get"].startswith("calls=3,"))
        self.ask("CONFIG RESETSTAT")
        self.assertEqual(list(self.stats()), ["config|resetstat"])

    def test_what_could_not_run_is_counted(self) -> None:
        self.connection.dataReceived(encode("GET a", "GET b"))
        self.server.replica.fail(Unavailable("CLUSTERDOWN", may_have_run=False))
        self.assertTrue(self.stats()["get"].endswith("rejected_calls=0,failed_calls=2"))

    def test_commands_in_other_forms(self) -> None:
        """Another database, and a transaction: by the names that clients send."""
        shared = self.server.factory.shared
        done: list[Outcome] = []
        commands = [[b"\0IN", b"3", b"get", b"a"], [b"\0EXEC", b"", b"0", b"1", b"PING"], [b"GET", b"a"]]
        counted = Counted(Held(), shared.stats, shared.seconds, shared.slow)  # type: ignore[arg-type]
        counted.submit(commands, done.append)
        self.assertEqual(done, [()])
        self.assertEqual(sorted(self.stats()), ["exec", "get"])
        self.assertTrue(self.stats()["get"].startswith("calls=2,"))

    def test_transactions_are_counted_once(self) -> None:
        """By the names that clients send, with the time until the replies."""
        self.connection.dataReceived(encode("WATCH k", "MULTI", "GET a", "EXEC"))
        self.server.clock.advance(0.25)
        self.server.replica.run()
        self.ask("WATCH k", "UNWATCH", "EXEC")
        stats = self.stats()
        self.assertEqual(sorted(stats), ["exec", "multi", "unwatch", "watch"])
        self.assertTrue(stats["exec"].startswith("calls=2,usec=250000,"), stats["exec"])
        self.assertTrue(stats["watch"].startswith("calls=2,usec=250000,"), stats["watch"])
        for name in ("multi", "unwatch"):
            self.assertTrue(stats[name].startswith("calls=1,"), stats[name])

    def test_counts_are_asked_for(self) -> None:
        self.ask("PING")
        self.assertNotIn("# Commandstats", self.ask("INFO"))
        for section in ("all", "everything", "commandstats"):
            self.assertIn("# Commandstats", self.ask(f"INFO {section}"))

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
        self.server.replica.keyspace = dict  # type: ignore[method-assign]
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
        for text, name in (
            ("MULTI SET,a,b EXEC", "exec"), ("SELECT,3 GET,a", "get"), ("WATCH,a", "watch"),
            ("UNWATCH", "unwatch"),
        ):  # fmt: skip
            other.dataReceived(encode(*(word.replace(",", " ") for word in text.split())))
            self.assertIn(f" cmd={name} ", self.ask("CLIENT LIST ID 2"))
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
