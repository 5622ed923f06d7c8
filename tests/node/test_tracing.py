"""What is noted of a command that is traced, and of no other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces.instruments import Took
from epaxos.node.submissions import Submission
from epaxos.node.tracing import TRACES_MAX, Tracer
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import AcceptOK, PreAcceptOK, ReadOK

OURS, OTHER = InstanceId(0, 3), InstanceId(0, 4)


class TracerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tracer = Tracer()
        self.command = [b"SET", b"k", b"v"]
        others = [[b"SET", b"k", b"v"], [b"GET", b"k"]]
        self.submissions = [Submission([each], print, 9.0, 0) for each in (*others, self.command)]
        self.trace = self.tracer.begin(self.command, 1.0)

    def test_an_instance(self) -> None:
        tracer = self.tracer
        tracer.on_messages(1, [PreAcceptOK(OURS, (0, 0, 0))], 1.1)  # before it is proposed
        tracer.on_proposed(2.0, self.submissions, OURS, None)
        tracer.on_messages(1, [PreAcceptOK(OTHER, (0, 0, 0)), PreAcceptOK(OURS, (0, 0, 0))], 2.25)
        tracer.on_written([OTHER], 2.0, 2.3)
        tracer.on_written([OURS, OTHER], 2.25, 2.5)
        report = self.trace.report(Took(1.0, 0.25, 0.5, 3.25), 4.0)
        self.assertEqual(report["path"], "fast")
        tracer.on_messages(2, [AcceptOK(OTHER, 0)], 2.6)
        self.assertEqual(self.trace.report(Took(1.0, 0.25, 0.5, 3.25), 4.0)["path"], "fast")
        tracer.on_messages(2, [AcceptOK(OURS, 0)], 2.75)
        self.assertEqual(
            self.trace.report(Took(1.0, 0.25, 0.5, 3.25), 4.0),
            {
                "path": "slow",
                "instance": {"row": 0, "slot": 3},
                "proposals": 1,
                "commands": 3,
                "waiting_s": 1.0,
                "quorum_s": 1.0,
                "turn_s": 0.25,
                "run_s": 0.5,
                "total_s": 3.0,
                "answers": [
                    {"member": 1, "to": "PreAccept", "after_s": 0.25},
                    {"member": 2, "to": "Accept", "after_s": 0.75},
                ],
                "syncs": [{"after_s": 0.25, "took_s": 0.25}],
            },
        )

    def test_a_read(self) -> None:
        self.tracer.on_proposed(2.0, self.submissions, None, 7)
        self.tracer.on_messages(2, [ReadOK(6, (0,)), ReadOK(7, (0,))], 2.5)
        report = self.trace.report(Took(1.0, 0.0, 0.0, 3.0), 4.0)
        self.assertEqual((report["path"], report["instance"]), ("read", None))
        self.assertEqual(report["answers"], [{"member": 2, "to": "Read", "after_s": 0.5}])

    def test_what_has_not_run(self) -> None:
        report = self.trace.report(None, 6.0)
        self.assertEqual((report["path"], report["quorum_s"], report["total_s"]), (None, None, 5.0))

    def test_it_ends(self) -> None:
        self.assertTrue(self.tracer.is_on)
        self.tracer.end(self.trace)
        self.assertFalse(self.tracer.is_on)
        self.tracer.on_proposed(2.0, self.submissions, OURS, None)
        self.assertEqual(self.trace.report(None, 3.0)["proposals"], 0)

    def test_no_more_than_a_few(self) -> None:
        traces = [self.tracer.begin([b"GET", b"k"], 1.0) for _ in range(TRACES_MAX)]
        self.tracer.on_proposed(2.0, self.submissions, OURS, None)
        self.assertEqual(self.trace.report(None, 3.0)["proposals"], 0)
        for trace in traces:
            self.tracer.end(trace)
        self.assertFalse(self.tracer.is_on)
