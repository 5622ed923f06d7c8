"""The lines of the log: text or JSON, and which levels of which parts."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from twisted.logger import Logger, LogLevel, LogPublisher, eventsFromJSONLogFile, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.settings import Log
from epaxos.service.log_lines import log_observer


class LineTests(SynchronousTestCase):
    def write(self, log: Log) -> Logger:
        self.file = StringIO()
        self.publisher = LogPublisher(log_observer(self.file, log))
        return self.logger("epaxos.node.node")

    def logger(self, namespace: str) -> Logger:
        return Logger(namespace, observer=self.publisher)

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.getvalue().splitlines()]

    def test_json(self) -> None:
        """One line each, whatever the text is, and each value in a field of its own."""
        logger = self.write(Log("json"))
        logger.warn("replica {id} sees {who}\nand goes on", id=3, who="caf\udce9", key=b"\xff\n")
        logger.info("{a.real} {n}", a=7, n=float(2))
        one, two = self.objects()
        self.assertEqual(one["log_text"], "replica 3 sees caf\udce9\nand goes on")
        self.assertEqual((one["id"], one["key"], one["log_namespace"]), (3, "ÿ\n", "epaxos.node.node"))
        self.assertEqual(one["log_level"]["name"], "warn")
        self.assertIsInstance(one["log_time"], float)
        self.assertEqual(two["log_text"], "7 2.0")
        self.assertNotIn("log_logger", one)

    def test_twisted_reads_it(self) -> None:
        self.write(Log("json")).warn("replica {id}", id=3)
        self.file.seek(0)
        (event,) = eventsFromJSONLogFile(self.file, recordSeparator="")
        self.assertEqual((formatEvent(event), event["log_level"]), ("replica 3", LogLevel.warn))

    def test_failures(self) -> None:
        """The traceback is in the line."""
        logger = self.write(Log("json"))
        try:
            raise ValueError("no\nway")
        except ValueError:
            logger.failure("it failed", Failure())
        (event,) = self.objects()
        self.assertTrue(event["log_text"].startswith("it failed\nTraceback"), event["log_text"])
        self.assertIn("ValueError: no\nway", event["log_text"])

    def test_what_json_cannot_hold(self) -> None:
        """The text is there all the same, and what comes next, too."""
        circle: list[Any] = []
        circle.append(circle)

        class Bad:
            def __str__(self) -> str:
                raise RuntimeError("no text")

        logger = self.write(Log("json"))
        logger.info("a {n}", n=1, circle=circle)
        logger.info("b {bad}", bad=Bad())
        logger.info("c", table={(1, 2): 3, "d": object()})
        circular, bad, table = self.objects()
        self.assertEqual((circular["log_text"], circular["log_namespace"]), ("a 1", "epaxos.node.node"))
        self.assertIn("b", bad["log_text"])
        self.assertEqual(table["log_text"], "c")

    def test_text(self) -> None:
        self.write(Log()).warn("replica {id}", id=3)
        self.assertRegex(self.file.getvalue(), r"^\S+ \[epaxos.node.node#warn\] replica 3\n$")

    def test_levels(self) -> None:
        """Of a package and all in it; the longest name counts, and info where there is none."""
        levels = (("epaxos", "error"), ("epaxos.node", "warn"), ("epaxos.node.node", "debug"))
        for form in ("text", "json"):
            self.write(Log(form, levels))
            for part, lowest in (
                ("epaxos.transport.tcp", LogLevel.error),
                ("epaxos.node.applier.Applier", LogLevel.warn),
                ("epaxos.node.node.Node", LogLevel.debug),
                ("epaxos.node.nodes", LogLevel.warn),
                ("twisted.web", LogLevel.info),
            ):
                for level in LogLevel.iterconstants():
                    self.file.truncate(0)
                    self.logger(part).emit(level, "x")
                    is_there = bool(self.file.getvalue().strip("\0"))
                    self.assertEqual(is_there, level >= lowest, f"{part} {level}")

    def test_an_event_without_a_level(self) -> None:
        self.write(Log("text", (("epaxos", "critical"),)))
        self.publisher({"log_format": "x", "log_time": 0.0})
        self.assertIn(" x\n", self.file.getvalue())
