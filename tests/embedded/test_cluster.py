"""A configuration from the arguments of a call."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import ConfigError
from epaxos.embedded import cluster

PEERS = [f"tcp:{7000 + id}:interface=127.0.0.1" for id in range(3)]


class ClusterTests(SynchronousTestCase):
    def test_what_is_given(self) -> None:
        folder = Path(self.mktemp()).absolute()
        peers = [
            *PEERS[:2],
            {"peer": PEERS[2], "client": "tcp:7102:interface=127.0.0.1", "data": "elsewhere"},
        ]
        settings = {"limits": {"request_timeout_s": 2}, "storage": {"sync": False}}
        config = cluster("locks", peers, folder, settings)
        self.assertEqual((config.cluster.name, config.n), ("locks", 3))
        self.assertEqual((config.limits.request_timeout_s, config.storage.sync), (2.0, False))
        self.assertEqual([replica.client for replica in config.replicas], ["", "", peers[2]["client"]])
        self.assertEqual([replica.status for replica in config.replicas], ["", "", ""])
        data = [replica.data for replica in config.replicas]
        self.assertEqual(data, [folder / "0", folder / "1", Path.cwd() / "elsewhere"])

    def test_it_is_what_a_file_says(self) -> None:
        """But for the ports that a file has to name, and the name of the file."""
        path = Path(self.mktemp())
        path.write_text(example(3, data="d").replace("name = example", "name = locks"))
        file = load(path)
        ours = cluster("locks", PEERS, path.absolute().parent / "d")
        self.assertEqual(
            [(replica.peer, replica.peer_connect, replica.data) for replica in ours.replicas],
            [(replica.peer, replica.peer_connect, replica.data) for replica in file.replicas],
        )
        for section in ("cluster", "timing", "batch", "limits", "storage", "security"):
            self.assertEqual(getattr(ours, section), getattr(file, section))

    def test_a_file_has_to_name_its_ports(self) -> None:
        for key in ("client", "status"):
            path = Path(self.mktemp())
            path.write_text(example(1).replace(f"{key} =", "; "))
            self.assertIn(f"{key}: is missing", str(self.assertRaises(ConfigError, load, path)))

    def test_mistakes(self) -> None:
        for peers, settings, text in (
            ([], None, "cluster locks: the section [replica 0] is missing"),
            (["tcp:7000"], None, "cluster locks: [replica 0] peer_connect: is missing"),
            ([PEERS[0]] * 2, None, "is that of [replica 0] too"),
            (PEERS, {"limit": {}}, "did you mean 'limits'?"),
            (PEERS, {"limits": {"clients_max": "many"}}, "cluster locks: [limits] clients_max = many: "),
            ([{"client": "tcp:1"}], None, "[replica 0] peer: is missing"),
            ([{"peer": PEERS[0], "port": "1"}], None, "[replica 0] port: unknown key"),
            (PEERS, {"cluster": {"transport": "udp"}}, "is not for transport = udp"),
        ):
            error = self.assertRaises(ConfigError, cluster, "locks", peers, "data", settings)
            self.assertIn(text, str(error))
