"""Commands that ask to run again, behind what the state machine wants first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.interfaces import Command, CommandError, IReadsBefore, Outcome, Reply, RunAgain, Unavailable
from epaxos.node.reruns import ROUNDS_MAX
from epaxos.protocol.values.messages import Batch, PreAccept, PreAcceptOK, ReadOK
from tests.defaults import default_batching
from tests.node.lab import Cluster, Log
from tests.node.turning import TurningCluster


@implementer(IReadsBefore)
class Fading(Log):
    """A Log with keys that are due: who writes one removes it, and who only reads one asks for `[key, -]`.

    `due`: those that the present time calls due; what is written anew is not.  A batch that ends with `late`
    comes from a slower clock, which calls nothing due.  `endless`: something else is asked for, for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self.due: set[bytes] = set()
        self.endless = False

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        self.read_alone += [key for _, key in commands]
        return [self.seen(key) for _, key in commands]

    def seen(self, key: bytes) -> Reply:
        if key in self.due and key in self.texts:
            return RunAgain([b"z" if self.endless else key, b"-"])
        return self.texts.get(key)

    def read_before(self, command: Command, batch: Batch) -> Reply:
        key = command[1] if command[0] == b"?" else command[0]
        if key not in self.due or batch.payload.endswith(b"late"):
            return self.texts.get(key)
        return RunAgain([key, b"-"], [None])

    def run(self, batch: Batch) -> list[Reply]:
        replies: list[Reply] = []
        is_late = batch.payload.endswith(b"late")
        for line in batch.payload.split(b"\n"):
            key, text = line.split(b" ")
            if text == b"?":
                replies.append(self.seen(key))
                continue
            if key in self.due and not is_late:
                self.texts.pop(key, None)
                self.due.discard(key)
            if text != b"-":
                self.texts[key] = self.texts.get(key, b"") + text
            replies.append(self.texts.get(key))
        return replies


class Case(SynchronousTestCase):
    def make(self, *due: bytes, **batching: Any) -> Cluster:
        """A cluster in which all keys are written, and some of them are due."""
        self.cluster = Cluster(default_batching(**batching), Fading).start()
        self.cluster.submit(0, *([key, b"a"] for key in (b"j", b"k", b"l")))
        self.cluster.run(0.05)
        self.fade(*due)
        return self.cluster

    def fade(self, *due: bytes) -> None:
        for log in self.logs:
            log.due = set(due)

    @property
    def logs(self) -> list[Fading]:
        logs: Any = self.cluster.logs
        return logs

    def submit(self, *commands: list[bytes], id: int = 0) -> list[Any]:
        """Outcomes as lists, whatever sequence they are."""
        told: list[Any] = []

        def done(outcome: Outcome) -> None:
            told.append(outcome if isinstance(outcome, Unavailable) else list(outcome))

        self.cluster.nodes[id].submit(commands, done)
        return told


class RunAgainTests(Case):
    def test_a_read_without_an_instance(self) -> None:
        cluster = self.make(b"k")
        told = self.submit([b"?", b"k"])
        cluster.run(0.05)
        self.assertEqual(told, [[None]])
        self.assertEqual([log.texts for log in self.logs], [{b"j": b"a", b"l": b"a"}] * 3)
        self.assertEqual([log.batches[-1] for log in self.logs], [[b"k -", b"k ?"]] * 3)

    def test_a_command_of_a_batch(self) -> None:
        cluster = self.make(b"k")
        told = self.submit([b"k", b"?"], id=1)
        cluster.run(0.05)
        self.assertEqual(told, [[None]])
        self.assertEqual([log.batches[-2:] for log in self.logs], [[[b"k ?"], [b"k -", b"k ?"]]] * 3)

    def test_the_other_replies_wait_and_keep_their_places(self) -> None:
        cluster = self.make(b"k", b"l")
        told = self.submit([b"?", b"k"], [b"j", b"b"], [b"?", b"x"], [b"l", b"?"], [b"?", b"k"], [b"m", b"c"])
        cluster.run(0.05)
        self.assertEqual(told, [[None, b"ab", None, None, None, b"c"]])
        self.assertEqual([sorted(log.texts) for log in self.logs], [[b"j", b"m"]] * 3)
        self.assertEqual([log.texts[b"j"] for log in self.logs], [b"ab"] * 3, "written once")

    def test_other_callers_of_the_same_turn_do_not_wait(self) -> None:
        cluster = self.make(b"k")
        steps = [self.submit([b"?", b"j"]), self.submit([b"?", b"k"]), self.submit([b"?", b"l"])]
        cluster.held = {PreAcceptOK}
        cluster.run(0.05)
        self.assertEqual(steps, [[[b"a"]], [], [[b"a"]]])
        cluster.release(PreAcceptOK)
        cluster.run(0.05)
        self.assertEqual(steps[1], [[None]])

    def test_before_what_waits(self) -> None:
        cluster = self.make(b"k", window=1, commands_max=2)
        told = self.submit([b"k", b"?"])
        cluster.clock.advance(0)
        later = [self.submit([b"x", text]) for text in (b"1", b"2", b"3")]
        cluster.run(0.1)
        self.assertEqual(told, [[None]])
        self.assertEqual(later, [[[b"1"]], [[b"12"]], [[b"123"]]])
        self.assertEqual(self.logs[0].batches[3:], [[b"k -", b"k ?"], [b"x 3"]])

    def test_something_else_becomes_due_meanwhile(self) -> None:
        cluster = self.make(b"k")
        told = self.submit([b"k", b"?"], [b"l", b"?"])
        cluster.run(0.0025)
        self.fade(b"k", b"l")
        cluster.run(0.1)
        self.assertEqual(told, [[None, b"a"]], "that was true when it ran")

    def test_it_ends(self) -> None:
        cluster = self.make(b"k")
        for log in self.logs:
            log.endless = True
            log.due = {b"k"}
        told = self.submit([b"k", b"?"], [b"?", b"j"])
        cluster.run(0.5)
        ((refused, other),) = told
        self.assertEqual(other, b"a")
        assert isinstance(refused, CommandError)
        self.assertIn("put off 10 times", str(refused))
        self.assertEqual(self.logs[1].batches.count([b"z -", b"k ?"]), ROUNDS_MAX)


class OvertakingTests(Case):
    """What was proposed behind a command runs before the command runs again."""

    def overtaken(self, command: list[bytes], *later: list[bytes]) -> list[Any]:
        """The outcome of `command`, which is held up until all of `later` are proposed."""
        cluster = self.make(b"k", commands_max=1)
        cluster.held = {PreAcceptOK, ReadOK}
        told = self.submit(command)
        outcomes = [self.submit(one) for one in later]
        cluster.run(0.01)
        self.assertEqual(len(cluster.sent(0, PreAccept)) >= len(later), True)
        cluster.release(ReadOK, PreAcceptOK)
        cluster.run(0.1)
        self.assertTrue(all(outcomes))
        return told

    def test_a_later_write_is_not_seen(self) -> None:
        for command in ([b"?", b"k"], [b"k", b"?"]):
            self.assertEqual(self.overtaken(command, [b"k", b"b"], [b"k", b"c"]), [[None]], f"{command}")
            self.assertEqual([log.texts.get(b"k") for log in self.logs], [b"bc"] * 3)

    def test_a_later_write_for_which_it_is_not_due(self) -> None:
        """The clock of its batch is behind: the key is there until that batch, and behind it."""
        for command in ([b"?", b"k"], [b"k", b"?"]):
            self.assertEqual(self.overtaken(command, [b"k", b"late"]), [[b"a"]], f"{command}")

    def test_other_keys(self) -> None:
        self.assertEqual(self.overtaken([b"?", b"k"], [b"x", b"b"]), [[None]])

    def test_a_barrier(self) -> None:
        self.assertEqual(self.overtaken([b"k", b"?"], [b"x", b"!"]), [[None]])


class InTimeTests(Case):
    def late(self, *commands: list[bytes]) -> list[Any]:
        """No quorum answers once the commands were found to have to run again."""
        cluster = self.make(b"k", request_timeout_s=2)
        told = self.submit(*commands)
        cluster.run(0.0025)
        self.assertEqual(len(cluster.nodes[0]._reads.reruns._pending), 1)
        cluster.isolate(0)
        cluster.run(1.9)
        self.assertEqual(told, [])
        cluster.run(0.7)
        return told

    def test_alone(self) -> None:
        (refused,) = self.late([b"?", b"k"])
        assert isinstance(refused, Unavailable)
        self.assertIn("CLUSTERDOWN", str(refused))

    def test_beside_what_has_run(self) -> None:
        ((reply, refused),) = self.late([b"?", b"j"], [b"?", b"k"])
        self.assertEqual(reply, b"a")
        assert isinstance(refused, CommandError)
        self.assertIn("CLUSTERDOWN", str(refused))

    def test_the_replica_stops(self) -> None:
        cluster = self.make(b"k")
        told = self.submit([b"?", b"k"])
        cluster.run(0.0025)
        cluster.held = {PreAcceptOK}
        cluster.run(0.01)
        self.successResultOf(cluster.nodes[0].stop())
        (refused,) = told
        self.assertIsInstance(refused, Unavailable)

    def test_nothing_is_kept(self) -> None:
        cluster = self.make(b"k")
        told = self.submit([b"?", b"k"], [b"k", b"?"])
        cluster.run(0.1)
        self.assertEqual(told, [[None, None]])
        self.assertEqual(cluster.nodes[0]._reads.reruns._pending, {})


class TurnTests(SynchronousTestCase):
    def test_an_epoch_begins_meanwhile(self) -> None:
        """What runs first is void in the old one, and is proposed again together with the command."""
        cluster = TurningCluster(log=Fading)
        cluster.submit(0, [b"j", b"a"], [b"k", b"a"])
        cluster.run(0.1)
        logs: Any = cluster.logs
        for log in logs:
            log.due = {b"k"}
        cluster.held = {PreAcceptOK}
        told = cluster.submit(1, [b"?", b"k"], [b"?", b"j"])
        cluster.run(0.01)
        proposed = [message.batch.payload for _, message in cluster.sent(1, PreAccept)]
        self.assertIn(b"k -\nk ?", proposed)
        cluster.kept.clear()
        cluster.held.clear()
        cluster.deafen(1)
        turned = cluster.nodes[0].turn()
        cluster.run(4)
        self.assertEqual((self.successResultOf(turned), cluster.epochs(), told), (1, [1, 0, 1], []))
        cluster.cut.clear()
        cluster.run(2)
        self.assertEqual(cluster.epochs(), [1, 1, 1])
        self.assertEqual([list(outcome) for outcome in told], [[None, b"a"]])
        self.assertEqual(cluster.texts(), [{b"j": b"a"}] * 3)
