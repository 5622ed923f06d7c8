"""Who is told that there is no reply, when, and why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Outcome, Unavailable
from epaxos.node.bundle import Bundle
from epaxos.node.intake import Intake
from epaxos.node.refusals import Refusals
from epaxos.node.reruns import Reruns
from epaxos.node.separation import ReadNames, Separation
from epaxos.node.step_times import StepTimes
from epaxos.node.submissions import Submission
from epaxos.protocol.values.messages import Commit
from tests.defaults import default_batching
from tests.node.lab import Cluster, UnavailableCase
from tests.node.recorder import Recorder, words


class TimeoutTests(UnavailableCase):
    def test_no_quorum(self) -> None:
        cluster = Cluster(default_batching(window=1, request_timeout_s=2)).start()
        cluster.isolate(0)
        proposed = cluster.submit(0, [b"k", b"a"])
        cluster.clock.advance(0)
        queued = cluster.submit(0, [b"k", b"b"])
        cluster.run(1.9)
        self.assertEqual((proposed, queued), ([], []))
        cluster.run(0.9)
        self.assertTrue(self.one(proposed).may_have_run)
        self.assertFalse(self.one(queued).may_have_run)
        cluster.cut.clear()
        cluster.run(5)
        self.assertNotIn(b"b", cluster.logs[1].texts.get(b"k", b""), "said not to have run")
        after = cluster.submit(0, [b"j", b"c"])
        cluster.run(1)
        self.assertEqual(after, [[b"c"]])

    def test_one_that_was_proposed_again_is_told_in_time(self) -> None:
        """Its time-out is not that of the younger bundles before it in the order of proposals."""
        cluster = Cluster(default_batching(window=2, request_timeout_s=2)).start()
        cluster.isolate(0)
        older = cluster.submit(0, [b"k", b"a"])
        cluster.run(1)
        younger = cluster.submit(0, [b"k", b"b"])
        cluster.run(0.01)
        proposed = cluster.nodes[0]._in_flight._by_instance
        first = next(iter(proposed))
        proposed[first] = proposed.pop(first)
        cluster.run(1.6)
        self.assertTrue(self.one(older).may_have_run)
        self.assertEqual(younger, [])

    def test_stop_answers_what_waits(self) -> None:
        cluster = Cluster().start()
        cluster.isolate(0)
        outcomes = cluster.submit(0, [b"k", b"a"])
        cluster.run(0.01)
        self.successResultOf(cluster.nodes[0].stop())
        self.assertTrue(self.one(outcomes).may_have_run)
        late = cluster.submit(0, [b"k", b"a"])
        cluster.run(0.01)
        self.assertFalse(self.one(late).may_have_run)


class CatchingUpTests(UnavailableCase):
    def test_clients_are_told(self) -> None:
        """The text names catching up, not a missing quorum."""
        cluster = Cluster(default_batching(request_timeout_s=0.5)).start()
        cluster.cut = {(0, 2), (1, 2)}
        for _ in range(10):
            cluster.submit(0, [b"k", b"x"])
            cluster.run(0.02)
        cluster.run(2)
        cluster.cut.clear()
        cluster.held.add(Commit)
        outcomes = cluster.submit(2, [b"k", b"y"])
        cluster.run(1.2)
        told = self.one(outcomes)
        self.assertIn("catching up", str(told))
        self.assertTrue(told.may_have_run)
        cluster.release(Commit)
        cluster.run(3)
        self.assertEqual(cluster.logs[2].texts, cluster.logs[0].texts)


class RemovedTests(SynchronousTestCase):
    """The replica is not a member any more: what has not run is void, and nobody will run it."""

    def test_what_is_said_of_each(self) -> None:
        told: list[Outcome] = []

        def bundle(commands: list[list[bytes]], has_run: bool = False) -> Bundle:
            """A bundle, of which at most the batch has run."""
            machine = Recorder()
            separation = Separation(commands, ReadNames(machine), machine)
            reruns = Reruns(Intake(machine, default_batching(), None), machine, int)
            made = Bundle(separation, [Submission(commands, told.append, 1.0, 0)], 0.0, reruns, StepTimes())
            if has_run:
                made.on_applied([b"ran"])
            return made

        write, read = words("SET k a", "GET j")
        in_flight = SimpleNamespace(bundles=lambda: iter(bundles), clear=lambda: bundles.clear())
        bundles = [bundle([write]), bundle([read]), bundle([write, read]), bundle([write, read], True)]
        intake = SimpleNamespace(refuse_all=lambda text: told.append(Unavailable(text, False)))
        refusals = Refusals(1.0, cast(Any, intake), cast(Any, in_flight), *cast(Any, (None, None, None)))
        refusals.refuse_void("CLUSTERDOWN gone")
        void, ran = "CLUSTERDOWN gone; the command was not run", "CLUSTERDOWN gone; the command may have run"
        outcomes = [(str(one), one.may_have_run) for one in told if isinstance(one, Unavailable)]
        self.assertEqual(outcomes, [(void, False)] * 3 + [(ran, True), (void, False)])
        self.assertEqual(bundles, [])
