"""Good configuration files, and what is loaded from them."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from epaxos.config.addresses import client_for
from epaxos.config.endpoints import check_client, check_server
from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import ConfigError
from epaxos.config.settings import SECTIONS, Batch, Cluster, Limits, Security, Storage
from epaxos.protocol.values.timing import Timing
from tests.config.case import ConfigCase

CONF = Path(__file__).parents[2] / "conf" / "cluster.ini"


class LoadTests(ConfigCase):
    """What a good file gives."""

    def test_the_example_file(self) -> None:
        """It is what `example` makes, and all its settings are the defaults."""
        config = load(CONF)
        self.assertEqual(config.cluster, Cluster("example"))
        self.assertEqual((config.cluster.state_machine, config.cluster.transport), ("kv", "tcp"))
        self.assertEqual(config.timing, Timing())
        self.assertEqual(config.batch, Batch())
        self.assertEqual(config.limits, Limits())
        self.assertEqual(config.storage, Storage())
        self.assertEqual(config.security, Security(protected_mode=True, requirepass="", peer_tls=False))
        self.assertEqual(config.state_machine, {})
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
        shown = re.findall(r"^;?(\w+) =(?: |$)", text, re.M)
        known = [key for section in SECTIONS.values() for key in section.settings]
        self.assertEqual([key for key in shown if key in known], known)
        uncommented = self.load(re.sub(r"^;(?=\w+ =(?: |$))", "", text, flags=re.M))
        plain = self.load(text)
        self.assertEqual(uncommented.timing, plain.timing)
        self.assertEqual(uncommented.batch, plain.batch)
        self.assertEqual(uncommented.limits, plain.limits)
        self.assertEqual(uncommented.storage, plain.storage)
        self.assertEqual(uncommented.security, plain.security)
        self.assertEqual(uncommented.cluster, plain.cluster)

    def test_settings(self) -> None:
        config = self.load(
            "[timing]\nheartbeat_s = 1\nsuspect_after_s = 5.5\n[batch]\nwindow = 3\n"
            "[limits]\nclients_max = 1_000\nrequest_timeout_s = 2\n"
            "[storage]\nengine = memory\nsync = no\ncheckpoint_s = .5\n"
            "[security]\npeer_tls = yes\nca = a/b.pem\ncertificate = {id}/c.pem\nkey = /d\n"
            "[state_machine]\nSome Option = 100 % = x\n" + example(1)
        )
        self.assertEqual(config.timing, Timing(heartbeat_s=1, suspect_after_s=5.5))
        self.assertEqual(config.batch, Batch(window=3))
        self.assertEqual(config.limits, Limits(clients_max=1000, request_timeout_s=2))
        self.assertEqual(config.storage, Storage("memory", False, 0.5))
        self.assertEqual(
            config.security,
            Security(peer_tls=True, ca="a/b.pem", certificate="{id}/c.pem", key="/d"),
        )
        self.assertEqual(config.state_machine, {"Some Option": "100 % = x"})

    def test_a_password(self) -> None:
        """Anything that can be printed; a mark of a comment inside of it is part of it."""
        for password in ("x", "caf\u00e9 = #1; \\ % : ok", "y" * 512):
            config = self.load(f"[security]\nrequirepass =  {password} \n{example(1)}")
            self.assertEqual(config.security.requirepass, password)
        self.assertEqual(self.load(f"[security]\nrequirepass =\n{example(1)}").security.requirepass, "")

    def test_a_password_is_in_no_text_of_the_configuration(self) -> None:
        config = self.load(f"[security]\nrequirepass = opensesame\n{example(1)}")
        self.assertNotIn("opensesame", f"{config!r} {config.security}")
        self.assertTrue(SECTIONS["security"].settings["requirepass"].is_secret)

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

    def test_how_clients_come(self) -> None:
        """Where a replica is reached for clients and for its status: as the file says, or derived from it."""
        names = "[cluster]\nname = c\n[replica 0]\ndata = d\n"
        for lines, client, status in (
            (
                "peer = tcp:7000:interface=10.0.0.1\nclient = tcp:6379:interface=10.0.0.2\n"
                "status = unix:/run/status\n",
                "tcp:10.0.0.2:6379",
                "unix:/run/status",
            ),
            (  # every interface of the host at which the others reach it
                "peer = tcp:7000\npeer_connect = tcp:one.example:7000\n"
                "client = tcp:6379\nstatus = tcp:7200\n",
                "tcp:one.example:6379",
                "tcp:one.example:7200",
            ),
            (  # that host has another name for everybody else; who knows TLS has to say whom it trusts
                "peer = tcp:7000:interface=127.0.0.1\nclient = tcp:6379\nstatus = ssl:7200:privateKey=k\n",
                "",
                "",
            ),
            (
                "peer = tcp:7000:interface=127.0.0.1\nclient = tcp:6379\nstatus = tcp:7200\n"
                "client_connect = tcp:ten.example:6379\nstatus_connect = ssl:ten.example:443\n",
                "tcp:ten.example:6379",
                "ssl:ten.example:443",
            ),
        ):
            replica = self.load(names + lines).replica(0)
            self.assertEqual((replica.client_connect, replica.status_connect), (client, status))

    def test_a_file_of_one_that_joins(self) -> None:
        """It needs its own section alone, and may have others."""
        first, *others = re.split(r"(?=\[replica )", example(4))
        path = self.write(first + others[3])
        self.assertEqual([replica.id for replica in load(path, has_founders=False).replicas], [3])
        config = load(self.write(first + others[3] + others[1]), has_founders=False)
        self.assertEqual([replica.id for replica in config.replicas], [1, 3])
        self.assertEqual(config.replica(3).peer, "tcp:7003:interface=127.0.0.1")
        self.assertIsNone(config.find(0))
        error = self.assertRaises(ConfigError, config.replica, 0)
        self.assertEqual(str(error), f"{config.path}: there is no section [replica 0]; the replicas are 1, 3")

    def test_levels_of_the_log(self) -> None:
        """Of parts of epaxos, which have to be there, and of other programs."""
        for text, levels in (
            ("", ()),
            ("epaxos: warn", (("epaxos", "warn"),)),
            (
                "epaxos.service.life:debug ,twisted.web : error",
                (("epaxos.service.life", "debug"), ("twisted.web", "error")),
            ),
        ):
            config = self.load(example(1) + f"[log]\nlevels = {text}\n")
            self.assertEqual(config.log.levels, levels)
            shown = SECTIONS["log"].settings["levels"].kind.show(levels)
            self.assertEqual(SECTIONS["log"].settings["levels"].kind.read(shown), levels)

    def test_other_id(self) -> None:
        path = self.write(example(3))
        for id in (3, -1):
            with self.assertRaises(ConfigError) as caught:
                load(path).replica(id)
            self.assertEqual(
                str(caught.exception), f"{path}: there is no section [replica {id}]; the replicas are 0, 1, 2"
            )

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
