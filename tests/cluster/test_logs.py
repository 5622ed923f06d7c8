"""The logs of real replicas: their lines, and what moves their files (docs: operating/run, "The log")."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until
from tests.cluster.test_process import daemon

JSON = "[log]\nformat = json\n"
CONF = Path(__file__).parents[2] / "conf"


def texts(log: str) -> list[str]:
    """The text of each line, which all have to be JSON."""
    return [json.loads(line)["log_text"] for line in log.splitlines()]


class LogTests(SynchronousTestCase):
    def test_json_in_the_foreground(self) -> None:
        """From the first line to the last, with the values in fields."""
        with Cluster(1, JSON) as cluster:
            cluster.start().ready()
            self.assertEqual(cluster.terminate(0), 0)
            log = cluster.log(0)
            self.assertIn("replica 0 of 1 is ready for clients", texts(log))
            (event,) = [
                event for event in map(json.loads, log.splitlines()) if "is ready" in event["log_text"]
            ]
            self.assertEqual((event["id"], event["n"], event["log_level"]["name"]), (0, 1, "info"))
            self.assertEqual(texts(log)[-1], "Server Shut Down.")

    def test_levels(self) -> None:
        with Cluster(1, "[log]\nlevels = epaxos.service: warn, twisted: error\n") as cluster:
            cluster.start().ready()
            self.assertEqual(cluster.terminate(0), 0)
            self.assertNotIn("is ready for clients", cluster.log(0))
            self.assertIn("[epaxos.transport", cluster.log(0))

    def test_the_journal(self) -> None:
        """It reads lines from a socket, each of which comes when it is written."""
        with Cluster(1) as cluster:
            journal, stdout = socket.socketpair()
            journal.settimeout(30)
            with journal, stdout, journal.makefile() as lines:
                process = subprocess.Popen(
                    cluster.command(0),
                    cwd=cluster.folder,
                    stdout=stdout,
                    stderr=stdout,
                    stdin=subprocess.DEVNULL,
                )
                try:
                    while "replica 0 of 1 is ready for clients" not in lines.readline():
                        self.assertIsNone(process.poll())
                    process.send_signal(signal.SIGHUP)
                    while "SIGHUP: there is no file of the log to open again" not in lines.readline():
                        self.assertIsNone(process.poll())
                finally:
                    process.kill()
                    process.wait()

    def moved_away(self, cluster: Cluster, pid: int, log: Path) -> str:
        """Move the file as logrotate does by default, and return what the old one has then."""
        moved = log.with_name("moved.log")
        log.rename(moved)
        os.kill(pid, signal.SIGHUP)
        wait_until("it is opened again", lambda: log.exists() and "SIGHUP" in log.read_text())
        return moved.read_text()

    def test_moved_by_others_and_by_itself(self) -> None:
        """Each line is in one of the files, and each is whole."""
        for settings in ("", JSON):
            with Cluster(1, settings) as cluster, daemon(self, cluster) as pid:
                log = cluster.folder / "epaxos-0.log"
                wait_until("it is ready", lambda log=log: "is ready for clients" in log.read_text())
                first = self.moved_away(cluster, pid, log)
                os.kill(pid, signal.SIGUSR1)
                wait_until("it is rotated", lambda log=log: "SIGUSR1" in log.read_text())
                files = [first, log.with_name("epaxos-0.log.1").read_text(), log.read_text()]
                for text, said in zip(files, ("is ready for clients", "SIGHUP: ", "SIGUSR1: ")):
                    lines = texts(text) if settings else text.splitlines()
                    self.assertEqual(len([line for line in lines if said in line]), 1)

    def test_logrotate(self) -> None:
        """With the example of conf/, if the program is there."""
        if shutil.which("logrotate") is None:
            raise SkipTest("logrotate is not installed")
        with Cluster(1) as cluster, daemon(self, cluster):
            text = (CONF / "logrotate.d" / "epaxos").read_text()
            text = text.replace("/var/log/epaxos", str(cluster.folder))
            text = text.replace("/var/lib/epaxos", str(cluster.folder))
            text = re.sub(r"(?m)^ +(su|create) .*\n", "", text)
            (cluster.folder / "rotate").write_text(text)
            done: Any = subprocess.run(
                ["logrotate", "--force", "--state", cluster.folder / "state", cluster.folder / "rotate"],
                capture_output=True,
                text=True,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            log = cluster.folder / "epaxos-0.log"
            wait_until("it is opened again", lambda: log.exists() and "SIGHUP: " in log.read_text())
            self.assertIn("is ready", log.with_name("epaxos-0.log.1").read_text())
