"""CLUSTER, ROLE and SENTINEL: what clients are told that follow a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis
from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.interfaces import ClusterView, Place
from tests.resp.lab import Server, encode

PLACES = (
    Place(0, "10.0.0.1", 7100, False, True),
    Place(2, "10.0.0.2", 7100, True, True),
    Place(3, "db.example", 7101, False, False),
)
VIEW = ClusterView("orders", 7, PLACES, True)
LOST = VIEW._replace(has_majority=False)
EMPTY = ClusterView("orders", 0, (), False)


class ViewCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.view = VIEW
        self.hosts: list[str] = []
        self.server = Server(view=self.look)
        self.connection, self.wire = self.server.connect()

    def look(self, host: str) -> ClusterView:
        self.hosts.append(host)
        return self.view

    def ask(self, command: str, resp: int = 2) -> Any:
        self.connection.session.resp = resp
        self.wire.clear()
        self.connection.dataReceived(encode(command))
        reader = hiredis.Reader()
        reader.feed(self.wire.value())
        return reader.gets()

    def error(self, command: str) -> str:
        answer = self.ask(command)
        self.assertIsInstance(answer, hiredis.ReplyError, command)
        return str(answer)


class ClusterTests(ViewCase):
    def test_slots(self) -> None:
        slots = self.ask("CLUSTER SLOTS")
        self.assertEqual(
            [(first, last, host, port) for first, last, (host, port, _, _) in slots],
            [
                (0, 5460, b"10.0.0.1", 7100),
                (5461, 10921, b"10.0.0.2", 7100),
                (10922, 13652, b"10.0.0.1", 7100),
                (13653, 16383, b"10.0.0.2", 7100),
            ],
        )
        self.assertEqual(slots[0][2][2], slots[2][2][2])
        self.assertRegex(slots[0][2][2].decode(), "^[0-9a-f]{40}$")

    def test_the_host_that_the_client_reached_counts(self) -> None:
        self.ask("CLUSTER SLOTS")
        self.assertEqual(self.hosts, [self.wire.getHost().host])

    def test_nodes(self) -> None:
        first, own, gone = self.ask("CLUSTER NODES").decode().splitlines()
        id = self.ask("CLUSTER MYID").decode()
        self.assertEqual(own, f"{id} 10.0.0.2:7100@0 myself,master - 0 0 7 connected 5461-10921 13653-16383")
        self.assertRegex(first, "^[0-9a-f]{40} 10.0.0.1:7100@0 master - 0 0 7 connected 0-5460 10922-13652$")
        self.assertRegex(gone, "^[0-9a-f]{40} db.example:7101@0 master,fail - 0 0 7 disconnected$")
        self.assertEqual(len({line.split()[0] for line in (first, own, gone)}), 3)

    def test_shards(self) -> None:
        first, own, gone = self.ask("CLUSTER SHARDS", resp=3)
        self.assertEqual(own[b"slots"], [5461, 10921, 13653, 16383])
        (node,) = own[b"nodes"]
        self.assertEqual((node[b"ip"], node[b"port"], node[b"role"]), (b"10.0.0.2", 7100, b"master"))
        self.assertEqual(node[b"id"], self.ask("CLUSTER MYID"))
        self.assertEqual((first[b"nodes"][0][b"health"], gone[b"nodes"][0][b"health"]), (b"online", b"fail"))
        self.assertEqual(gone[b"slots"], [])

    def test_info(self) -> None:
        def state() -> dict[str, str]:
            lines = self.ask("CLUSTER INFO").decode().split()
            return dict(line.split(":") for line in lines)

        self.assertEqual(state()["cluster_state"], "ok")
        self.assertEqual((state()["cluster_known_nodes"], state()["cluster_size"]), ("3", "2"))
        self.view = LOST
        self.assertEqual(state()["cluster_state"], "fail")

    def test_a_minority_is_of_no_use(self) -> None:
        for self.view in (LOST, EMPTY):
            for subcommand in ("SLOTS", "SHARDS", "NODES"):
                self.assertIn("CLUSTERDOWN", self.error(f"CLUSTER {subcommand}"))

    def test_what_needs_no_view(self) -> None:
        self.assertEqual(self.ask("CLUSTER KEYSLOT {123456789}x"), 0x31C3)
        self.assertEqual(self.ask("ROLE"), [b"master", 0, []])
        for command in ("READONLY", "READWRITE", "ASKING"):
            self.assertEqual(self.ask(command), b"OK")

    def test_replicas(self) -> None:
        id = self.ask("CLUSTER MYID").decode()
        self.assertEqual(self.ask(f"CLUSTER REPLICAS {id}"), [])
        self.assertEqual(self.ask(f"CLUSTER SLAVES {id.upper()}"), [])
        self.assertEqual(self.error("CLUSTER REPLICAS x"), "ERR Unknown node x")

    def test_refused(self) -> None:
        for command in ("RESET HARD", "MEET 127.0.0.1 1", "COUNTKEYSINSLOT 1", "FAILOVER"):
            self.assertIn("is not served", self.error(f"CLUSTER {command}"))
        self.assertIn("unknown subcommand", self.error("CLUSTER NONSENSE"))
        self.assertIn("wrong number of arguments for 'cluster|slots'", self.error("CLUSTER SLOTS x"))

    def test_plain_libraries_go_on(self) -> None:
        self.assertIn(b"cluster_enabled:0", self.ask("INFO"))


class SentinelTests(ViewCase):
    def fields(self, command: str) -> list[dict[bytes, bytes]]:
        answer: Sequence[Any] = self.ask(command)
        return [dict(zip(one[::2], one[1::2])) for one in answer]

    def test_the_replica_itself_first(self) -> None:
        self.assertEqual(self.ask("SENTINEL get-master-addr-by-name orders"), [b"10.0.0.2", b"7100"])
        (master,) = self.fields("SENTINEL MASTERS")
        self.assertEqual((master[b"name"], master[b"ip"], master[b"port"]), (b"orders", b"10.0.0.2", b"7100"))
        self.assertEqual(master[b"flags"], b"master")
        self.assertEqual((master[b"num-slaves"], master[b"num-other-sentinels"]), (b"2", b"2"))
        self.assertEqual(master[b"quorum"], b"2")
        self.assertEqual(self.ask("SENTINEL MASTER orders", resp=3), master)

    def test_another_one_where_clients_cannot_reach_this_one(self) -> None:
        self.view = VIEW._replace(places=(PLACES[2], PLACES[0]))
        self.assertEqual(self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME orders"), [b"10.0.0.1", b"7100"])

    def test_the_others(self) -> None:
        for name in ("REPLICAS", "slaves"):
            first, gone = self.fields(f"SENTINEL {name} orders")
            self.assertEqual((first[b"name"], first[b"flags"]), (b"10.0.0.1:7100", b"slave"))
            self.assertEqual((first[b"master-host"], first[b"master-link-status"]), (b"10.0.0.2", b"ok"))
            self.assertEqual(gone[b"flags"], b"s_down,slave,disconnected")
        others = self.fields("SENTINEL SENTINELS orders")
        self.assertEqual([one[b"ip"] for one in others], [b"10.0.0.1", b"db.example"])
        self.assertEqual(others[0][b"flags"], b"sentinel")
        self.assertNotIn(self.ask("SENTINEL MYID"), [one[b"runid"] for one in others])

    def test_a_minority_knows_no_master(self) -> None:
        for self.view in (LOST, EMPTY):
            self.assertIsNone(self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME orders"))
            self.assertEqual(self.ask("SENTINEL MASTERS"), [])
            self.assertIn("CLUSTERDOWN", self.error("SENTINEL MASTER orders"))
            self.assertIn("NOQUORUM", self.error("SENTINEL CKQUORUM orders"))
        self.view = LOST
        self.assertEqual(self.fields("SENTINEL REPLICAS orders")[0][b"master-link-status"], b"err")

    def test_unknown_names(self) -> None:
        self.assertIsNone(self.ask("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster"))
        for name in ("MASTER", "REPLICAS", "SLAVES", "SENTINELS", "CKQUORUM"):
            self.assertEqual(self.error(f"SENTINEL {name} x"), "ERR No such master with that name")

    def test_the_quorum(self) -> None:
        self.assertIn(b"2 usable Sentinels", self.ask("SENTINEL CKQUORUM orders"))

    def test_refused(self) -> None:
        for command in (
            "FAILOVER orders",
            "RESET *",
            "SET orders quorum 2",
            "MONITOR x 1 2 3",
            "REMOVE orders",
        ):
            self.assertIn("is not served", self.error(f"SENTINEL {command}"))
