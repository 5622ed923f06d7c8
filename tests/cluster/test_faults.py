"""The harness of faults finds violations, and replicas behave as they must in faults."""

from __future__ import annotations

import json
import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.simulation.dice import Dice
from tests.builds import plain_only
from tests.cluster.harness import Cluster
from tests.cluster.longrun import main
from tests.cluster.nemesis import ProcessFaults
from tests.cluster.record import judge_all
from tests.cluster.workload import Mix, Workload

ROOT = Path(__file__).resolve().parents[2]


class FaultTests(SynchronousTestCase):
    def test_a_disk_that_fills_up_and_one_that_rots(self) -> None:
        """Each ends with status 1 and one line that says why.  Then the replica starts again with all its
        data."""
        with Cluster().start().ready() as cluster:
            with Workload(cluster.redis_ports, seed=1, clients=2, think_s=0.001) as workload:
                faults = ProcessFaults(cluster, Dice(2), lambda seconds: None)
                faults.full_disk(10)
                faults.damage(0)
                workload.settle(cluster)
            findings = judge_all(workload.recorder.operations())
            self.assertEqual((findings.wrong, findings.undecided), ([], 0))


@plain_only
class BreakTests(SynchronousTestCase):
    def test_reads_that_ask_nobody_are_found(self) -> None:
        """A copy of epaxos that answers GET from its own state is fast, and wrong."""
        source = Path(self.mktemp()).resolve()
        shutil.copytree(ROOT / "epaxos", source / "epaxos")
        node = source / "epaxos" / "node" / "client_side.py"
        text = node.read_text()
        begin = "        deadline = self._timeouts.now() + self._timeout_s\n"
        self.assertEqual(text.count(begin), 1)
        read = (
            "        if {command[0] for command in commands} == {b'GET'}:\n"
            "            data = self._state_machine._machine._state.data\n"
            "            done([data.get(command[1]) for command in commands])\n"
            "            return\n"
        )
        node.write_text(text.replace(begin, read + begin))
        with Cluster(linked=True, source=source).start().ready() as cluster:
            cluster.links.delay([(0, 2), (1, 2)], 100)
            mix = Mix(hot=1.0, write=1, read=3)
            with Workload(cluster.redis_ports, seed=1, clients=2, mix=mix) as workload:
                workload.wait_for_more(300)
                workload.pause()
            findings = judge_all(workload.recorder.operations())
        self.assertNotEqual(findings.wrong, [])
        self.assertIn("GET", findings.wrong[0])


class LongRunTests(SynchronousTestCase):
    def test_a_short_one(self) -> None:
        out = Path(self.mktemp())
        said = StringIO()
        with redirect_stdout(said):
            status = main(["--hours", "0.0015", "--window-s", "5", "--seed", "7", "--out", str(out)])
        self.assertEqual(status, 0, said.getvalue())
        self.assertIn("SEED=7", said.getvalue())
        summary = json.loads((out / "summary.json").read_text())
        self.assertEqual(summary["verdict"], "no violation")
        self.assertGreater(summary["operations"]["acknowledged"], 0)
        self.assertGreaterEqual(summary["operations"]["judged"], summary["operations"]["acknowledged"])
        self.assertGreater(summary["windows"], 0)
        faults = (out / "faults.jsonl").read_text().splitlines()
        self.assertEqual(len(faults), sum(summary["faults"].values()))
        picture = (out / "plot.svg").read_text()
        ElementTree.fromstring(picture)
        for kind in summary["faults"]:
            self.assertIn(kind, picture)
