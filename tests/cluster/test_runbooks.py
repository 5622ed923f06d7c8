"""docs: operating/runbooks.  Every command of the page, in real clusters to which it has happened."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path

import redis
from cryptography import x509
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from epaxos.config.example import replica_section
from tests.cluster.certified import PEER_TLS, certify
from tests.cluster.harness import TWISTD, Cluster, wait_until
from tests.cluster.links import between
from tests.cluster.pages import Shell, blocks, matches, steps, with_ports
from tests.transport.certificates import Authority

PAGE = (Path(__file__).parents[2] / "docs" / "operating" / "runbooks.md").read_text(encoding="utf-8")
MEMBERS = (0, 1, 2)
CHANGING = ("twistd", "kill", "rm", "mv", "sed", "printf", "openssl req", "openssl x509 -req")
"""Commands that are given once.  What only looks is given again until it says what is expected, and so are
changes of the members and turns, which may be refused for a moment."""
PATIENCE_S = 90
SHORT_S = 7
"""How long a certificate is good that is to end while its replica runs."""


def section(heading: str) -> str:
    """The text below a heading of the page."""
    (text,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


def squeezed(text: str) -> str:
    """The text without the padding of its columns, which depends on what stands in other rows."""
    return re.sub(r"[ \t]+", " ", text)


class Host:
    """The folder of a cluster, a shell in it, and the daemons that it has started there."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.folder = cluster.folder
        programs = self.folder / "bin"
        programs.mkdir()
        run_twistd = f"{TWISTD[0]} {TWISTD[1]} '{TWISTD[2]}'"
        for name, command in (("twistd", run_twistd), ("epaxosctl", f"{sys.executable} -m epaxos.ctl")):
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o755)
        self.shell = Shell(self.folder)
        self.shell.run(f'PATH="{programs}:$PATH"')

    def pid_file(self, id: int) -> Path:
        return self.folder / f"epaxos-{id}.pid"

    def start(self, *ids: int, limited: int | None = None) -> None:
        """Start these replicas as daemons, at the same time; no file of `limited` can grow beyond 200 kB."""
        names = {id: self.cluster.config_of(id).name for id in ids}
        words = {id: f"twistd epaxos --id {id} --config {name}" for id, name in names.items()}
        if limited is not None:
            words[limited] = f"prlimit --fsize=200000 -- {words[limited]}"
        said = self.shell.run(f"{' & '.join(words.values())} & wait")
        assert not said, said

    def serves(self, *ids: int) -> None:
        """Wait until each of them does."""
        for id in ids:
            wait_until(f"replica {id} serves", lambda id=id: self.is_serving(id), PATIENCE_S)

    def is_serving(self, id: int) -> bool:
        """Whether it answers a read."""
        with contextlib.suppress(redis.RedisError):
            self.cluster.client(id).get("a")
            return True
        return False

    def lose(self, *ids: int) -> None:
        """Kill these, and leave nothing of their folders."""
        for id in ids:
            self.kill(id)
            shutil.rmtree(self.cluster.data(id))

    def kill(self, id: int) -> None:
        """SIGKILL; returns when the process is gone."""
        pid = int(self.pid_file(id).read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until(f"replica {id} is gone", lambda: not Path(f"/proc/{pid}").exists())
        self.pid_file(id).unlink(missing_ok=True)

    def joins(self, id: int) -> None:
        """Write the file of a replica that is to join."""
        own = replica_section(id, self.cluster.base_port, "data")
        (self.folder / f"node{id}.ini").write_text(f"[cluster]\nname = example\n{own}")

    def type(self, text: str) -> None:
        """Give every command of this part of the page."""
        for step in steps(text):
            self._type(with_ports(step.command, self.cluster), with_ports(step.expected, self.cluster))

    def _type(self, command: str, expected: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not matches(squeezed(expected), squeezed(said := self.shell.run(command))):
            if command.startswith(CHANGING) or time.monotonic() > deadline:
                raise AssertionError(f"{command}\nexpected:\n{expected}\nsaid:\n{said}")
            time.sleep(0.2)

    def close(self) -> None:
        """End the shell and the daemons."""
        self.shell.close()
        for path in self.folder.glob("*.pid"):
            with contextlib.suppress(ValueError, ProcessLookupError, FileNotFoundError):
                os.kill(int(path.read_text()), signal.SIGKILL)


class RunbookTests(SynchronousTestCase):
    timeout = 240

    def setUp(self) -> None:
        missing = [name for name in ("bash", "openssl", "curl", "prlimit") if shutil.which(name) is None]
        if missing:
            raise SkipTest(f"not installed: {', '.join(missing)}")

    @contextmanager
    def host(self, cluster: Cluster) -> Iterator[Host]:
        with ExitStack() as stack:
            stack.enter_context(cluster)
            host = Host(cluster)
            stack.callback(host.close)
            yield host

    def test_a_full_disk_and_a_replica_that_died_for_good(self) -> None:
        with self.host(Cluster(3, room=1)) as host:
            cluster = host.cluster
            host.start(*MEMBERS, limited=2)
            host.serves(*MEMBERS)
            client = cluster.client(0)
            for number in range(100):
                client.set(f"key {number}", b"x" * 10_000)
            wait_until("replica 2 has ended", lambda: not host.pid_file(2).exists())
            host.type(section("A disk is full"))
            host.kill(2)
            host.type(section("A replica died"))
            self.assertEqual(cluster.client(2).get("key 99"), b"x" * 10_000)
            host.lose(2)
            host.joins(3)
            host.type(section("Its disk is lost, too"))
            self.assertEqual(cluster.client(3).get("key 99"), b"x" * 10_000)

    def test_upgraded_and_moved(self) -> None:
        with self.host(Cluster(3, room=2)) as host:
            cluster = host.cluster
            host.start(*MEMBERS)
            host.serves(*MEMBERS)
            cluster.client(0).set("a", "1")
            host.type(section("Upgrade"))
            host.joins(4)
            host.type(section("Move to other machines"))
            self.assertEqual(cluster.client(4).get("a"), b"1")

    def test_a_site_is_cut_off_and_then_the_only_one(self) -> None:
        cut, mended = section("A site is cut off").split("When the network is back")
        self.assertEqual((len(blocks(cut, "console")), len(blocks(mended, "console"))), (1, 1))
        with self.host(Cluster(3, linked=True)) as host:
            cluster = host.cluster
            host.start(*MEMBERS)
            host.serves(*MEMBERS)
            cluster.links.cut(between([2], [0, 1]))
            cluster.sees_down(2, 0, 1)
            cluster.sees_down(0, 2)
            host.type(cut)
            cluster.client(0).set("a", "1")
            cluster.links.heal()
            host.type(mended)
            self.assertEqual(cluster.client(2).get("a"), b"1")
            host.lose(0, 1)
            host.type(section("A majority is lost"))
            self.assertEqual(cluster.client(1).get("a"), b"1")
            self.assertEqual(cluster.client(0).incr("n"), 1)

    def start_with_little_time(self, host: Host, authority: Authority) -> None:
        """Start replica 2 with a certificate that ends soon, though not before others have taken it: a slow
        machine gets more time."""
        for tried in range(1, 8):
            lasts_s = tried * SHORT_S
            authority.certify(host.folder, 2, "epaxos://example/2", to_days=lasts_s / 86_400)
            with contextlib.suppress(AssertionError):
                host.start(2)
                wait_until("replica 2 serves", lambda: host.is_serving(2), lasts_s)
                return
            if host.pid_file(2).exists():
                host.kill(2)
        raise AssertionError("replica 2 does not start within the time of its certificate")

    def test_a_certificate_ended(self) -> None:
        with self.host(Cluster(3, PEER_TLS)) as host:
            cluster = host.cluster
            authority = certify(cluster)
            authority.save_key(cluster.folder / "issuer.key")
            host.start(0, 1)
            self.start_with_little_time(host, authority)
            (ended,) = x509.load_pem_x509_certificates((cluster.folder / "2.pem").read_bytes())
            end = ended.not_valid_after_utc
            wait_until("it has ended", lambda: datetime.now(timezone.utc) > end, 10 * SHORT_S)
            cluster.client(2).set("a", "1")  # connections that are open stay
            host.kill(1)
            host.start(1)
            host.serves(1)
            host.type(section("A certificate ended"))
            host.serves(2)
            self.assertEqual(cluster.client(2).get("a"), b"1")
