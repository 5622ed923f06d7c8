"""`GET /metrics`, `/healthz` and `/readyz`, and the files of conf/monitoring, which name what is measured."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface import implementer

from epaxos.admin.metrics import Exposition
from epaxos.admin.probes import why_not_ready
from epaxos.admin.status import status_site
from epaxos.interfaces.instruments import LatencyMonitor
from epaxos.interfaces.metrics import BOUNDS_S, Definition, Histogram, IMeasured, Kind, Metric
from epaxos.net.door import Door
from epaxos.node.step_times import StepTimes
from epaxos.node.submissions import Submission
from epaxos.service.loop_watch import LOOK_S, LoopWatch
from tests.admin.test_status import Clients
from tests.generated.metrics import DEFINITIONS, names_of

MONITORING = Path(__file__).parents[2] / "conf" / "monitoring"
OF_THE_PROCESS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}


@implementer(IMeasured)
class Part:
    def __init__(self) -> None:
        self.times = Histogram()

    def metrics(self) -> Iterator[Metric]:
        yield Metric(Definition("a", Kind.COUNTER, "Some", ("of",)), [(("x",), 3), (('"\n\\',), 4)])
        yield Metric(Definition("b", Kind.GAUGE, "Others"), [((), 0.5)])
        yield Metric(Definition("c", Kind.GAUGE, "None"), [])
        yield Metric(Definition("d", Kind.HISTOGRAM, "Times", ("of",)), [(("y",), self.times)])


class ExpositionTests(SynchronousTestCase):
    def test_text(self) -> None:
        part = Part()
        for seconds, times in ((0.00005, 2), (0.003, 1), (99.0, 5)):
            part.times.add(seconds, times)
        text = Exposition([part]).text().decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        samples = {
            (sample.name, *sorted(sample.labels.values(), reverse=True)): sample.value
            for name in "abcd"
            for sample in families[name].samples
        }
        self.assertEqual(samples["a_total", "x"], 3)
        self.assertEqual(samples["a_total", '"\n\\'], 4)
        self.assertEqual(samples["b",], 0.5)
        self.assertEqual(families["c"].samples, [])
        for bound, count in (
            (BOUNDS_S[0], 2.0),
            (0.002, 2.0),
            (0.005, 3.0),
            (BOUNDS_S[-1], 3.0),
            ("+Inf", 8.0),
        ):
            self.assertEqual(samples["d_bucket", "y", str(bound)], count, bound)
        self.assertEqual(samples["d_count", "y"], 8)
        self.assertAlmostEqual(samples["d_sum", "y"], 2 * 0.00005 + 0.003 + 5 * 99)
        self.assertIn("process_resident_memory_bytes", families)

    def test_histograms_go_on(self) -> None:
        histogram = Histogram()
        for bound in BOUNDS_S:
            histogram.add(bound)
        self.assertEqual(histogram.counts, [1] * len(BOUNDS_S) + [0], "a bound belongs to what is below it")


class PartsTests(SynchronousTestCase):
    def test_waiting_begins_with_the_submission(self) -> None:
        times = StepTimes(timeout_s=10)
        times.on_proposed(
            105.5, [Submission([[b"GET"]] * 3, print, 115.0, 1), Submission([], print, 115.4, 1)]
        )
        self.assertAlmostEqual(times.waiting.total_s, 3 * 0.5)
        self.assertEqual(sum(times.waiting.counts), 3)

    def test_the_loop_is_late(self) -> None:
        clock = Clock()
        watch = LoopWatch(_Timeouts(clock), LatencyMonitor(lambda: 0.0))
        watch.start()
        clock.advance(LOOK_S)
        clock.advance(LOOK_S + 0.3)
        [metric] = watch.metrics()
        late: Any = metric.samples[0][1]
        self.assertAlmostEqual(late.total_s, 0.3)
        self.assertEqual(sum(late.counts), 2)
        watch.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_a_long_stop_of_the_loop_is_told(self) -> None:
        clock = Clock()
        watch = LoopWatch(_Timeouts(clock), LatencyMonitor(lambda: 0.0))
        watch.start()
        with capturedLogs() as logs:
            clock.advance(LOOK_S + 0.9)
            self.assertEqual(logs, [])
            clock.advance(LOOK_S + 1.2)
        [event] = logs
        self.assertRegex(
            formatEvent(event), r"^the event loop stood still for 1\.2 s, of which it worked for 0\.\d s$"
        )
        watch.stop()


class _Timeouts:
    def __init__(self, clock: Clock) -> None:
        self.now, self.call_later = clock.seconds, clock.callLater


class ProbeTests(SynchronousTestCase):
    def ask(self, path: str, status: dict[str, Any], door: Door | None = None) -> tuple[int, bytes]:
        told: Deferred[dict[str, Any]] = succeed(status)
        channel = status_site(Clients(told), Clock(), door, lambda: b"x 1\n").buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def status(self, **changed: Any) -> dict[str, Any]:
        members = [{"id": 0, "up": True}, {"id": 1, "up": True}, {"id": 2, "up": False}]
        return {"id": 0, "running": True, "members": members, "epoch": {"behind": None}, **changed}

    def test_ready(self) -> None:
        away = [{"id": 0, "up": True}, {"id": 1, "up": False}, {"id": 2, "up": False}]
        for status, why in (
            (self.status(), ""),
            (self.status(running=False), "the replica starts or stops"),
            (
                self.status(epoch={"behind": {}}),
                "the replica is behind: it takes the state of another member",
            ),
            (self.status(id=7), "the replica is not a member"),
            (self.status(members=away), "only 1 of 3 members are up as seen from here"),
        ):
            self.assertEqual(why_not_ready(status), why)
            code = 503 if why else 200
            self.assertEqual(self.ask("/readyz", status), (code, (why or "ok").encode() + b"\n"))
            self.assertEqual(self.ask("/healthz", status), (200, b"ok\n"))

    def test_the_door(self) -> None:
        """Numbers are for those who may see the state, and probes for all."""
        for door, code in ((Door("x"), 401), (Door(is_protected=True), 403)):
            self.assertEqual(self.ask("/metrics", self.status(), door)[0], code)
            self.assertEqual(self.ask("/healthz", self.status(), door)[0], 200)
            self.assertEqual(self.ask("/readyz", self.status(), door)[0], 200)
        self.assertEqual(self.ask("/metrics", self.status()), (200, b"x 1\n"))


class MonitoringTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Alerts and dashboard ask for nothing that is not measured."""
        known = {name for each in DEFINITIONS for name in names_of(each)} | OF_THE_PROCESS
        panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
        expressions = [target["expr"] for panel in panels for target in panel["targets"]]
        expressions += re.findall(
            r"expr:(.*?)\n +(?:for|labels):", (MONITORING / "alerts.yml").read_text(), re.S
        )
        self.assertGreater(len(expressions), 25)
        found = {name for each in expressions for name in re.findall(r"\b(?:epaxos|process)_\w+", each)}
        self.assertEqual(found - known, set())
        self.assertGreater(len(found), 15)

    def test_definitions(self) -> None:
        names = [definition.name for definition in DEFINITIONS]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual([name for name in names if not re.fullmatch(r"epaxos_[a-z_]+", name)], [])
        self.assertEqual([each.name for each in DEFINITIONS if each.help.endswith(".")], [])

    def test_promtool(self) -> None:
        """Also each expression of the dashboard is one for Prometheus."""
        if shutil.which("promtool") is None:
            raise SkipTest("promtool (Debian: prometheus) is not installed")
        panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
        rules = [
            {"record": f"panel:{panel['id']}:{target['refId'].lower()}", "expr": target["expr"]}
            for panel in panels
            for target in panel["targets"]
        ]
        for rule in rules:
            rule["expr"] = rule["expr"].replace("$__rate_interval", "1m")
        made = Path(self.mktemp())
        made.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        for what, path in (
            ("rules", MONITORING / "alerts.yml"),
            ("rules", made),
            ("config", MONITORING / "prometheus.yml"),
        ):
            done = subprocess.run(
                ["promtool", "check", what, path], capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
