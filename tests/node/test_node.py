"""The node between its parts: turns, batches, answers, time-outs, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import sub
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

import epaxos.node.node
from epaxos.execution.executor import Executor
from epaxos.interfaces import (
    Checkpoint,
    Command,
    CommandError,
    CommandInfo,
    IClients,
    Identity,
    IStateMachine,
    IStore,
    ITransport,
    Outcome,
    Ready,
    Reply,
    Restored,
    StoreError,
    Unavailable,
    WriteSet,
)
from epaxos.node.digest import digest_of
from epaxos.node.limits import Batching
from epaxos.node.node import Node
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Batch,
    Commit,
    Heartbeat,
    Message,
    Phase,
    PreAccept,
    PreAcceptOK,
    Read,
    ReadOK,
    RecoverOK,
)
from epaxos.protocol.values.timing import Timing
from epaxos.service.timeouts import ReactorTimeouts
from tests.builds import plain_only


@implementer(IStateMachine)
class Log:
    """A state machine that appends: `[key, text]`; the reply is the key's whole text.

    The text ? only reads, in an instance; `[?, key]` needs none.  With ! among them a batch is a barrier.
    """

    def __init__(self) -> None:
        self.texts: dict[bytes, bytes] = {}
        self.batches: list[list[bytes]] = []
        self.restored: list[Ready] = []
        self.read_alone: list[bytes] = []

    def check(self, command: Command) -> None:
        if len(command) != 2:
            raise CommandError("ERR key and text")

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        return length == 2

    def commands(self) -> Sequence[CommandInfo]:
        return []

    def is_read(self, name: bytes) -> bool:
        return name == b"?"

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        assert commands and all(command[0] == b"?" for command in commands)
        self.read_alone += [key for _, key in commands]
        return tuple(self.texts.get(key) for _, key in commands)

    def batch(self, commands: Sequence[Command]) -> Batch:
        commands = [command[::-1] if command[0] == b"?" else command for command in commands]
        payload = b"\n".join(b" ".join(command) for command in commands)
        if any(text == b"!" for _, text in commands):
            return Batch((), (), payload, len(commands), True)
        writes = dict.fromkeys(key for key, text in commands if text != b"?")
        reads = dict.fromkeys(key for key, _ in commands if key not in writes)
        return Batch(tuple(writes), tuple(reads), payload, len(commands))

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        answers: list[Sequence[Reply]] = []
        for instance in ready:
            replies = self.run(instance.batch)
            self.batches.append(instance.batch.payload.split(b"\n"))
            answers.append(replies if instance.wanted else ())
        return answers

    def run(self, batch: Batch) -> list[Reply]:
        if batch.payload == b"poison":
            raise ValueError("poison")
        replies: list[Reply] = []
        for line in batch.payload.split(b"\n"):
            key, text = line.split(b" ")
            if text != b"?":
                self.texts[key] = self.texts.get(key, b"") + text
            replies.append(self.texts.get(key))
        return replies

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        self.texts = entries
        for instance in ready:
            self.restored.append(instance)
            self.run(instance.batch)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        return list(self.texts.items())


@implementer(IStore)
class Disk:
    """A store that is durable when the test says so."""

    persistent = True
    wants_state = False

    def __init__(self) -> None:
        self.restored = Restored(True, 0, (0, 0, 0), (0, 0, 0), (), (), (), ())
        self.waiting: list[tuple[WriteSet, Callable[[], None]]] = []
        self.written: list[WriteSet] = []
        self.slow = False
        self.error: StoreError | None = None

    def open(self, identity: Identity) -> Restored:
        if self.error:
            raise self.error
        return self.restored

    def write(self, write_set: WriteSet, durable: Callable[[], None]) -> None:
        self.waiting.append((write_set, durable))
        if not self.slow:
            self.catch_up()

    def catch_up(self, writes: int = 1000) -> None:
        while self.waiting and writes:
            writes -= 1
            write_set, durable = self.waiting.pop(0)
            self.written.append(write_set)
            durable()

    def checkpoints(self) -> list[Checkpoint]:
        return [written.checkpoint for written in self.written if written.checkpoint is not None]

    def batches(self) -> list[list[bytes]]:
        """What the batches of each checkpoint hold."""
        return [[batch.payload for _, batch in each.batches] for each in self.checkpoints()]

    def close(self) -> Deferred[None]:
        self.catch_up()
        return succeed(None)

    def counters(self) -> Mapping[str, int]:
        return {"store_writes": len(self.written)}


@implementer(ITransport)
class Wires:
    """All transports of a cluster at once: what node `id` sends arrives at the next step."""

    batch_bytes_max: int | None = None

    def __init__(self, cluster: Cluster, id: int) -> None:
        self.cluster = cluster
        self.id = id
        self.receive: Callable[[int, Sequence[Message]], None] | None = None
        self.connection: Callable[[int, bool], None] = lambda replica, is_there: None
        self.sends: list[list[tuple[int, Message]]] = []
        self.error: Exception | None = None

    def start(
        self,
        receive: Callable[[int, Sequence[Message]], None],
        connection: Callable[[int, bool], None],
    ) -> Deferred[None]:
        self.receive = receive
        self.connection = connection
        return fail(self.error) if self.error else succeed(None)

    def send(self, outgoing: Sequence[tuple[int, Message]]) -> None:
        self.sends.append(list(outgoing))
        for dest, message in outgoing:
            if (self.id, dest) not in self.cluster.cut:
                self.cluster.clock.callLater(0.001, self.cluster.arrive, self.id, dest, message)

    def is_connected(self, replica: int) -> bool:
        return (self.id, replica) not in self.cluster.cut

    def stop(self) -> Deferred[None]:
        self.receive = None
        return succeed(None)

    def counters(self) -> Mapping[str, int]:
        return {"bytes_sent": 1}


class Cluster:
    """Three nodes on one clock.  Messages of the kinds in `held` stay on their way until `release`."""

    def __init__(self, batching: Batching | None = None, log: Callable[[], Log] = Log) -> None:
        self.clock = Clock()
        self.cut: set[tuple[int, int]] = set()
        self.held: set[type] = set()
        self.kept: list[tuple[int, int, Message]] = []
        self.fatal: list[str] = []
        self.wires = [Wires(self, id) for id in range(3)]
        self.disks = [Disk() for _ in range(3)]
        self.logs = [log() for _ in range(3)]
        self.nodes = [self.new(id, batching or Batching()) for id in range(3)]

    def new(self, id: int, batching: Batching) -> Node:
        return Node(
            id,
            Epoch.first(3),
            cluster="test",
            timing=Timing(),
            batching=batching,
            state_machine=self.logs[id],
            executor=Executor(Epoch.first(3)),
            store=self.disks[id],
            transport=self.wires[id],
            timeouts=ReactorTimeouts(self.clock),
            random=Random(id),
            fatal=self.fatal.append,
        )

    def start(self) -> Cluster:
        for node in self.nodes:
            node.start()
        self.run(0.1)
        return self

    def arrive(self, sender: int, dest: int, message: Message) -> None:
        receive = self.wires[dest].receive
        if type(message) in self.held:
            self.kept.append((sender, dest, message))
        elif receive is not None:
            receive(sender, [message])

    def release(self, *kinds: type) -> None:
        """Deliver what was held of these kinds, in order, and hold them no longer."""
        self.held -= set(kinds)
        kept, self.kept = self.kept, []
        for sender, dest, message in kept:
            self.arrive(sender, dest, message)

    def sent(self, id: int, kind: type) -> list[tuple[int, Any]]:
        """What `id` has sent of the kind, and to whom."""
        return [
            (dest, message)
            for send in self.wires[id].sends
            for dest, message in send
            if isinstance(message, kind)
        ]

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 2000)):
            self.clock.advance(0.0005)

    def isolate(self, id: int) -> None:
        for other in range(3):
            self.cut |= {(id, other), (other, id)} if other != id else set()

    def submit(self, id: int, *commands: Command) -> list[Outcome]:
        outcomes: list[Outcome] = []
        self.nodes[id].submit(commands, outcomes.append)
        return outcomes


class SubmitTests(SynchronousTestCase):
    def test_interface(self) -> None:
        verifyObject(IClients, Cluster().nodes[0])

    def test_answers_follow_execution_everywhere(self) -> None:
        cluster = Cluster().start()
        first = cluster.submit(0, [b"k", b"a"], [b"j", b"x"])
        self.assertEqual(first, [], "never before submit returns")
        cluster.run(0.1)
        second = cluster.submit(1, [b"k", b"b"])
        cluster.run(0.1)
        self.assertEqual((first, second), ([[b"a", b"x"]], [[b"ab"]]))
        self.assertEqual([log.texts for log in cluster.logs], [{b"k": b"ab", b"j": b"x"}] * 3)

    def test_what_comes_in_one_turn_is_one_batch(self) -> None:
        cluster = Cluster().start()
        outcomes = [cluster.submit(0, [b"k", b"%d" % k]) for k in range(5)]
        cluster.run(0.1)
        self.assertEqual(outcomes, [[[b"01234"[: k + 1]]] for k in range(5)])
        self.assertEqual(len(cluster.logs[2].batches), 1)

    def test_clients_that_are_answered_share_an_instance_with_those_that_wait(self) -> None:
        cluster = Cluster(Batching(window=1)).start()

        def ask(name: bytes) -> None:
            cluster.nodes[0].submit([[name, b"x"]], lambda _: cluster.clock.callLater(0.0005, ask, name))

        for k in range(10):  # the one half while the instance of the other is under way
            cluster.clock.callLater(0.001 * (k % 2), ask, b"%d" % k)
        cluster.run(0.1)
        before = len(cluster.logs[0].batches)
        cluster.run(0.1)
        batches = cluster.logs[0].batches[before:]
        self.assertGreater(len(batches), 5)
        self.assertEqual({len(batch) for batch in batches}, {10})

    def test_one_client_is_never_kept_waiting_for_another(self) -> None:
        cluster = Cluster().start()
        answered: list[float] = []

        def ask(_: object = None) -> None:
            answered.append(cluster.clock.seconds())
            cluster.nodes[0].submit([[b"k", b"x"]], ask)

        ask()
        cluster.run(0.05)
        self.assertGreater(len(answered), 20)
        self.assertLessEqual(max(map(sub, answered[1:], answered)), 0.0026)

    def test_batches_are_bounded(self) -> None:
        cluster = Cluster(Batching(commands_max=4)).start()
        for _ in range(5):
            cluster.submit(0, [b"k", b"x"], [b"k", b"y"])
        cluster.run(0.1)
        self.assertEqual([len(batch) for batch in cluster.logs[1].batches], [4, 4, 2])

    def test_the_window_bounds_what_is_in_flight(self) -> None:
        cluster = Cluster(Batching(commands_max=1, window=3)).start()
        outcomes = [cluster.submit(0, [b"%d" % k, b"x"]) for k in range(10)]
        cluster.clock.advance(0)
        proposed = {m.id for send in cluster.wires[0].sends for _, m in send if isinstance(m, PreAccept)}
        self.assertEqual(len(proposed), 3)
        cluster.run(0.2)
        self.assertEqual(outcomes, [[[b"x"]]] * 10)

    def test_one_send_a_turn(self) -> None:
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"x"])
        sends = len(cluster.wires[0].sends)
        cluster.clock.advance(0)
        self.assertEqual(len(cluster.wires[0].sends), sends + 1)

    def test_clients_are_answered_before_the_others_get_the_commit(self) -> None:
        cluster = Cluster().start()
        sent: list[int] = []
        for _ in range(2):  # held back for company or not
            cluster.nodes[0].submit([[b"k", b"a"]], lambda _: sent.append(len(cluster.sent(0, Commit))))
            cluster.run(1)
        self.assertEqual(sent, [0, 2])
        self.assertEqual(len(cluster.sent(0, Commit)), 4)

    def test_batches_fit_the_transport(self) -> None:
        """What the transport cannot carry together goes in several batches, whatever the sizes were said
        to be; the replies are those of one, in order."""
        for stated in (0, 20, 90, 10_000):
            cluster = Cluster().start()
            cluster.wires[0].batch_bytes_max = 120
            outcomes: list[list[Outcome]] = [[] for _ in range(4)]
            for outcome in outcomes:
                commands = [[b"k", b"%03d" % k] for k in range(10)]
                cluster.nodes[0].submit(commands, outcome.append, stated)
            cluster.run(0.2)
            text = b"".join(b"%03d" % k for k in range(10)) * 4
            replies = [text[: 3 * k + 3] for k in range(40)]
            self.assertEqual(outcomes, [[replies[start : start + 10]] for start in range(0, 40, 10)])
            sent = [m for send in cluster.wires[0].sends for _, m in send if isinstance(m, PreAccept)]
            self.assertLessEqual(max(message.batch.size_bytes for message in sent), 120)

    def test_a_command_that_no_batch_holds(self) -> None:
        """It is refused, before anything is proposed; those that came with it run."""
        cluster = Cluster().start()
        cluster.wires[0].batch_bytes_max = 120
        alone = cluster.submit(0, [b"k", b"x" * 200])
        among = cluster.submit(0, [b"k", b"a"], [b"k", b"x" * 200], [b"k", b"b"])
        cluster.run(0.1)
        (replies,) = among
        self.assertEqual((replies[0], replies[2]), (b"a", b"ab"))
        for refusal in (alone[0][0], replies[1]):
            self.assertIsInstance(refusal, CommandError)
            self.assertEqual(
                str(refusal),
                "ERR the command is too large: 224 bytes, and no more than 120 are carried between replicas",
            )
        self.assertEqual(cluster.logs[2].texts, {b"k": b"ab"})

    def test_check(self) -> None:
        self.assertRaises(CommandError, Cluster().nodes[0].check, [b"one"])

    def test_a_broken_caller_harms_nobody(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0].submit([[b"k", b"x"]], lambda outcome: 1 // 0)  # type: ignore[arg-type]
        cluster.run(0.1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        later = cluster.submit(0, [b"k", b"y"])
        cluster.run(0.1)
        self.assertEqual((later, cluster.fatal), ([[b"xy"]], []))


class UnavailableCase(SynchronousTestCase):
    def one(self, outcomes: list[Outcome]) -> Unavailable:
        self.assertEqual(len(outcomes), 1)
        assert isinstance(outcomes[0], Unavailable)
        self.assertIn("CLUSTERDOWN", str(outcomes[0]))
        return outcomes[0]


class TimeoutTests(UnavailableCase):
    def test_no_quorum(self) -> None:
        cluster = Cluster(Batching(window=1, request_timeout_s=2)).start()
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

    def test_an_instance_that_became_nop_is_proposed_again(self) -> None:
        cluster = Cluster(Batching(request_timeout_s=60)).start()
        cluster.isolate(0)
        outcomes = cluster.submit(0, [b"k", b"a"])
        cluster.run(0.01)
        sent = [m for send in cluster.wires[0].sends for _, m in send if isinstance(m, PreAccept)]
        cluster.arrive(1, 0, Commit(sent[0].id, 4, NOP, (0, 0, 0)))
        cluster.arrive(2, 1, Commit(sent[0].id, 4, NOP, (0, 0, 0)))
        cluster.cut.clear()
        cluster.run(2)
        self.assertEqual(outcomes, [[b"a"]])
        self.assertEqual(cluster.logs[1].texts, {b"k": b"a"})

    def test_one_that_was_proposed_again_is_told_in_time(self) -> None:
        """It comes behind younger ones in the order of proposals."""
        cluster = Cluster(Batching(window=2, request_timeout_s=2)).start()
        cluster.isolate(0)
        older = cluster.submit(0, [b"k", b"a"])
        cluster.run(1)
        younger = cluster.submit(0, [b"k", b"b"])
        cluster.run(0.01)
        proposed = cluster.nodes[0]._proposed
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


class ReadTests(UnavailableCase):
    """Commands that are read without an instance: `[?, key]`."""

    def counters(self, cluster: Cluster, id: int) -> dict[str, int]:
        status: dict[str, Any] = self.successResultOf(cluster.nodes[id].status())
        return {"next_slot": status["next_slot"], **status["counters"]}

    def written(self, cluster: Cluster, text: bytes = b"a", key: bytes = b"k", id: int = 0) -> None:
        cluster.submit(id, [key, text])
        cluster.run(0.02)
        self.assertTrue(all(log.texts[key].endswith(text) for log in cluster.logs))

    def test_no_instance_and_nothing_on_disk(self) -> None:
        cluster = Cluster().start()
        self.written(cluster)
        names = ("next_slot", "store_writes", "commands_executed", "instances_held", "fast_path")
        before = [[self.counters(cluster, id)[name] for name in names] for id in range(3)]
        proposed = [cluster.sent(id, PreAccept) for id in range(3)]
        for id in range(3):
            outcomes = cluster.submit(id, [b"?", b"k"], [b"?", b"j"], [b"?", b"k"])
            self.assertEqual(outcomes, [], "never before submit returns")
            cluster.run(0.01)
            self.assertEqual(outcomes, [[b"a", None, b"a"]])
            ((dest, message),) = cluster.sent(id, Read)
            self.assertEqual((dest, set(message.keys)), ((id + 1) % 3, {b"k", b"j"}))
            self.assertEqual(self.counters(cluster, id)["commands_read"], 3)
        after = [[self.counters(cluster, id)[name] for name in names] for id in range(3)]
        self.assertEqual(after, before)
        self.assertEqual([cluster.sent(id, PreAccept) for id in range(3)], proposed)
        self.assertEqual([log.batches for log in cluster.logs], [[[b"k a"]]] * 3)

    def test_not_before_a_majority_was_asked(self) -> None:
        cluster = Cluster().start()
        self.written(cluster)
        cluster.held = {ReadOK}
        outcomes = cluster.submit(1, [b"?", b"k"])
        cluster.run(0.1)
        self.assertEqual((outcomes, cluster.logs[1].read_alone), ([], []))
        cluster.release(ReadOK)
        cluster.run(0.001)
        self.assertEqual(outcomes, [[b"a"]])

    def test_not_before_everything_that_was_named_is_executed(self) -> None:
        """Two replicas have written, and are answered; what decided it is on its way."""
        cluster = Cluster().start()
        cluster.held = {Commit}
        writes = [cluster.submit(1, [b"k", b"a"]), cluster.submit(2, [b"j", b"b"])]
        cluster.run(0.02)
        self.assertEqual(writes, [[[b"a"]], [[b"b"]]])
        outcomes = cluster.submit(0, [b"?", b"k"], [b"?", b"j"])
        cluster.run(0.1)
        self.assertEqual((outcomes, cluster.logs[0].read_alone), ([], []))
        commits = [kept for kept in cluster.kept if kept[1] == 0]
        cluster.held.clear()
        for number, (sender, dest, message) in enumerate(sorted(commits)):
            self.assertEqual((outcomes, cluster.logs[0].read_alone), ([], []), f"{number} are executed")
            cluster.arrive(sender, dest, message)
            cluster.clock.advance(0)
        self.assertEqual(outcomes, [[b"a", b"b"]])

    def test_what_only_others_know_is_fetched(self) -> None:
        """The reader was not told of the write, and the one that it asks first cannot answer."""
        cluster = Cluster().start()
        cluster.cut = {(1, 0)}
        write = cluster.submit(1, [b"k", b"a"])
        cluster.run(0.1)
        self.assertEqual((write, len(cluster.nodes[0]._core.table)), ([[b"a"]], 0))
        outcomes = cluster.submit(0, [b"?", b"k"])
        cluster.run(0.004)
        self.assertEqual([dest for dest, _ in cluster.sent(0, Read)], [1])
        cluster.run(3)
        self.assertEqual([dest for dest, _ in cluster.sent(0, Read)], [1, 1, 2])
        self.assertEqual(outcomes, [[b"a"]])

    def test_other_keys_are_not_waited_for(self) -> None:
        cluster = Cluster().start()
        self.written(cluster)
        cluster.held = {Commit}
        cluster.submit(1, [b"other", b"x"])
        cluster.run(0.02)
        outcomes = cluster.submit(0, [b"?", b"k"])
        cluster.run(0.01)
        self.assertEqual(outcomes, [[b"a"]])

    def test_reads_and_writes_that_came_together(self) -> None:
        """Replies keep their places, and what reads a key that is written beside it runs among the writes."""
        cluster = Cluster().start()
        self.written(cluster)
        commands = [[b"x", b"1"], [b"?", b"k"], [b"?", b"x"], [b"x", b"2"], [b"?", b"j"], [b"?", b"x"]]
        outcomes = cluster.submit(0, *commands)
        cluster.run(0.02)
        self.assertEqual(outcomes, [[b"1", b"a", b"1", b"12", None, b"12"]])
        self.assertEqual(cluster.logs[2].batches[-1], [b"x 1", b"x ?", b"x 2", b"x ?"])
        self.assertEqual(cluster.logs[0].read_alone, [b"k", b"j"])
        barrier = cluster.submit(0, [b"?", b"k"], [b"y", b"!"], [b"?", b"x"])
        cluster.run(0.02)
        self.assertEqual(barrier, [[b"a", b"!", b"12"]])
        self.assertEqual(cluster.logs[2].batches[-1], [b"k ?", b"y !", b"x ?"])

    def test_callers_of_one_turn(self) -> None:
        cluster = Cluster().start()
        self.written(cluster)
        asked = len(cluster.sent(0, Read))
        outcomes = [
            cluster.submit(0, *commands)
            for commands in (
                ([b"?", b"k"],),
                ([b"x", b"1"], [b"?", b"k"]),
                ([b"y", b"2"],),
                ([b"?", b"j"], [b"?", b"y"], [b"?", b"k"]),
            )
        ]
        cluster.run(0.02)
        self.assertEqual(outcomes, [[[b"a"]], [[b"1", b"a"]], [[b"2"]], [[None, b"2", b"a"]]])
        self.assertEqual(len(cluster.sent(0, Read)), asked + 1)
        self.assertEqual(cluster.logs[1].batches[-1], [b"x 1", b"y 2", b"y ?"])

    def test_either_part_may_come_last(self) -> None:
        for late in (PreAcceptOK, ReadOK):
            cluster = Cluster().start()
            self.written(cluster)
            cluster.held = {late}
            outcomes = cluster.submit(0, [b"?", b"k"], [b"x", b"1"])
            cluster.run(0.01)
            self.assertEqual(
                (outcomes, cluster.logs[0].read_alone), ([], [b"k"] if late is PreAcceptOK else [])
            )
            cluster.release(late)
            cluster.run(0.01)
            self.assertEqual(outcomes, [[b"a", b"1"]])

    def test_a_read_sees_what_its_replica_proposed_before(self) -> None:
        cluster = Cluster().start()
        self.written(cluster)
        cluster.held = {PreAcceptOK}
        write = cluster.submit(0, [b"k", b"b"])
        cluster.clock.advance(0)
        read = cluster.submit(0, [b"?", b"k"])
        cluster.run(0.1)
        self.assertEqual((write, read), ([], []))
        cluster.release(PreAcceptOK)
        cluster.run(0.01)
        self.assertEqual((write, read), ([[b"ab"]], [[b"ab"]]))

    def test_a_read_does_not_see_what_its_replica_proposed_later(self) -> None:
        """Although that ran first: once for each write of the key, of another key, and of everything."""
        for later, replies in (
            ([b"k", b"b"], [b"a", b"x", b"a"]),
            ([b"j", b"b"], [b"a", b"x", b"a"]),
            ([b"z", b"!"], [b"a", b"x", b"a"]),
            ([b"z", b"b"], [b"a", b"xy", b"a"]),
        ):
            cluster = Cluster().start()
            self.written(cluster)
            self.written(cluster, b"x", b"j")
            cluster.held = {ReadOK}
            read = cluster.submit(0, [b"?", b"k"], [b"?", b"j"], [b"?", b"k"])
            cluster.clock.advance(0)
            writes = [cluster.submit(0, later)]
            cluster.run(0.02)
            self.assertEqual((read, len(writes[0])), ([], 1))
            if later[0] == b"z":
                self.written(cluster, b"y", b"j", 1)  # nobody promised that this is not seen
            writes.append(cluster.submit(0, [b"k", b"c"]))
            cluster.run(0.02)
            self.assertEqual((read, len(writes[1])), ([], 1))
            cluster.release(ReadOK)
            cluster.run(0.01)
            self.assertEqual(read, [replies], later)
            again = cluster.submit(0, [b"?", b"k"])
            cluster.run(0.01)
            self.assertEqual(again[0][0], (b"abc" if later[0] == b"k" else b"ac"))  # type: ignore[index]

    def test_between_writes_that_run_together(self) -> None:
        """One that it has to see and one that it must not become ready in one turn."""
        cluster = Cluster().start()
        self.written(cluster)
        cluster.held = {PreAcceptOK, ReadOK}
        first = cluster.submit(0, [b"k", b"b"])
        cluster.clock.advance(0)
        read = cluster.submit(0, [b"?", b"k"])
        cluster.clock.advance(0)
        second = cluster.submit(0, [b"k", b"c"])
        cluster.run(0.01)
        runs = len(cluster.logs[0].batches)
        cluster.release(PreAcceptOK)
        cluster.clock.advance(0)
        self.assertEqual(len(cluster.logs[0].batches), runs + 2)
        self.assertEqual((first, read, second), ([[b"ab"]], [], [[b"abc"]]))
        cluster.release(ReadOK)
        cluster.run(0.01)
        self.assertEqual(read, [[b"ab"]])

    def test_an_answer_of_another_process_is_none(self) -> None:
        cluster = Cluster().start()
        cluster.held = {ReadOK}
        outcomes = cluster.submit(0, [b"?", b"k"])
        cluster.run(0.01)
        ((_, message), *_) = cluster.sent(0, Read)
        cluster.held.clear()
        for number in (message.number - 1, message.number + 1, 0):
            cluster.arrive(1, 0, ReadOK(number, (0, 0, 0)))
        cluster.run(0.001)
        self.assertEqual((outcomes, cluster.fatal), ([], []))

    def test_no_majority(self) -> None:
        """It is told in time, alone or among writes; nobody is asked any more; late answers do nothing."""
        for commands in ([[b"?", b"k"]], [[b"?", b"k"], [b"x", b"1"]]):
            cluster = Cluster(Batching(request_timeout_s=2)).start()
            cluster.held = {ReadOK}
            outcomes = cluster.submit(0, *commands)
            cluster.run(1.9)
            self.assertEqual(outcomes, [])
            self.assertGreater(len(cluster.sent(0, Read)), 4)
            cluster.run(0.9)
            self.one(outcomes)
            asked = len(cluster.sent(0, Read))
            cluster.run(3)
            self.assertEqual(len(cluster.sent(0, Read)), asked)
            cluster.release(ReadOK)
            cluster.run(1)
            self.assertEqual((len(outcomes), cluster.fatal, cluster.nodes[0]._readings), (1, [], {}))
            again = cluster.submit(0, [b"?", b"k"])
            cluster.run(0.1)
            self.assertEqual(again, [[None]])

    def test_one_that_waits_for_an_instance_is_told_in_time(self) -> None:
        cluster = Cluster(Batching(request_timeout_s=2)).start()
        cluster.held = {Commit}
        cluster.submit(1, [b"k", b"a"])
        cluster.run(0.02)
        outcomes = cluster.submit(0, [b"?", b"k"])
        cluster.run(2.5)
        self.one(outcomes)
        cluster.release(Commit)
        cluster.run(0.1)
        self.assertEqual((len(outcomes), cluster.logs[0].read_alone, cluster.nodes[0]._readings), (1, [], {}))

    def test_an_instance_that_became_nop_is_proposed_again_with_its_reads(self) -> None:
        """Whatever had been answered before: the read, nothing, or the read in the same turn."""
        for held, together in (({PreAcceptOK}, False), ({PreAcceptOK, ReadOK}, False), ({ReadOK}, True)):
            cluster = Cluster(Batching(request_timeout_s=60)).start()
            self.written(cluster)
            cluster.held = set(held) | {PreAcceptOK, PreAccept}
            outcomes = cluster.submit(0, [b"?", b"k"], [b"x", b"1"])
            younger = cluster.submit(1, [b"?", b"k"])
            cluster.run(0.003)
            self.assertEqual(cluster.logs[0].read_alone, [] if ReadOK in held else [b"k"])
            id = cluster.sent(0, PreAccept)[-1][1].id
            nop = Commit(id, 4, NOP, (0, 0, 0))
            cluster.kept = [
                kept for kept in cluster.kept if not isinstance(kept[2], (PreAccept, PreAcceptOK))
            ]
            if together:
                cluster.release(ReadOK)
            for dest in range(3):
                cluster.arrive((dest + 1) % 3, dest, nop)
            cluster.held.clear()
            cluster.run(0.001)
            self.assertEqual(cluster.fatal, [], f"{held}, {together}")
            self.assertEqual(outcomes, [], f"{held}, {together}")
            cluster.run(2)
            cluster.release()
            cluster.run(1)
            self.assertEqual((outcomes, younger), ([[b"a", b"1"]], [[b"a"]]), f"{held}, {together}")
            self.assertEqual(cluster.logs[0].read_alone, [b"k"] * (1 if ReadOK in held else 2))
            self.assertEqual(cluster.logs[1].texts, {b"k": b"a", b"x": b"1"})
            self.assertEqual((cluster.nodes[0]._readings, cluster.nodes[0]._proposed), ({}, {}))

    def test_stop_answers_what_waits(self) -> None:
        for commands in ([[b"?", b"k"]], [[b"?", b"k"], [b"x", b"1"]]):
            cluster = Cluster().start()
            cluster.isolate(0)
            outcomes = cluster.submit(0, *commands)
            cluster.run(0.01)
            self.successResultOf(cluster.nodes[0].stop())
            self.one(outcomes)
            cluster.cut.clear()
            cluster.run(1)
            self.assertEqual((len(outcomes), cluster.fatal), (1, []))

    def test_a_failure_answers_what_waits(self) -> None:
        cluster = Cluster().start()
        cluster.held = {ReadOK}
        outcomes = cluster.submit(0, [b"?", b"k"])
        cluster.run(0.01)
        cluster.arrive(1, 0, Commit(InstanceId(1, 1), 0, Batch((b"k",), (), b"poison", 1), (0, 0, 0)))
        cluster.clock.advance(0)
        self.one(outcomes)

    def test_a_broken_caller_harms_nobody(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0].submit([[b"?", b"k"]], lambda outcome: 1 // 0)  # type: ignore[arg-type]
        later = cluster.submit(0, [b"?", b"k"])
        cluster.run(0.1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((later, cluster.fatal), ([[None]], []))

    def test_callers_that_ask_again_at_once(self) -> None:
        cluster = Cluster().start()
        answered: list[float] = []

        def ask(_: object = None) -> None:
            answered.append(cluster.clock.seconds())
            if len(answered) < 200:
                cluster.nodes[0].submit([[b"?", b"k"]], ask)

        ask()
        cluster.run(0.05)
        self.assertIn(len(answered), range(21, 100))
        self.assertLessEqual(max(map(sub, answered[1:], answered)), 0.0026)

    def test_reads_fit_the_transport(self) -> None:
        cluster = Cluster().start()
        cluster.wires[0].batch_bytes_max = 120
        keys = [b"%030d" % k for k in range(10)]
        for key in keys[::3]:
            self.written(cluster, key[-1:], key)
        for stated in (0, 10_000):
            outcomes: list[list[Outcome]] = [[], []]
            for outcome in outcomes:
                cluster.nodes[0].submit([[b"?", key] for key in keys], outcome.append, stated)
            cluster.run(0.2)
            replies = [None if k % 3 else b"%d" % k for k in range(10)]
            self.assertEqual([list(*outcome) for outcome in outcomes], [replies] * 2)
        for _, message in cluster.sent(0, Read):
            self.assertLessEqual(sum(len(key) + 2 for key in message.keys), 120)
        alone = cluster.submit(0, [b"?", b"k" * 200])
        cluster.run(0.1)
        ((refusal,),) = alone
        self.assertIsInstance(refusal, CommandError)

    def test_the_rest_goes_on_with_one_replica_down(self) -> None:
        """With the one that is asked first silent, another is; and it is not asked first again."""
        cluster = Cluster().start()
        self.written(cluster)
        cluster.cut = {(0, 1), (1, 0)}
        for _ in range(5):
            outcomes = cluster.submit(0, [b"?", b"k"])
            cluster.run(0.02)
            self.assertEqual(outcomes, [[b"a"]])
        self.assertEqual([dest for dest, _ in cluster.sent(0, Read)], [1, 1, 2, 2, 2, 2, 2])


class DurabilityTests(SynchronousTestCase):
    def test_nothing_is_answered_before_it_is_durable(self) -> None:
        cluster = Cluster().start()
        cluster.disks[0].slow = True
        outcomes = cluster.submit(0, [b"k", b"a"])
        cluster.run(0.01)
        self.assertEqual((outcomes, cluster.logs[1].texts), ([], {}))
        ((decision, _),) = cluster.disks[0].waiting
        self.assertEqual(len(decision.batches), 1)
        cluster.disks[0].catch_up()
        cluster.run(0.01)
        self.assertEqual(outcomes, [[b"a"]])

    def test_checkpoints_free_what_everybody_has(self) -> None:
        cluster = Cluster(Batching(checkpoint_s=0.5)).start()
        for k in range(20):
            cluster.submit(k % 3, [b"k", b"x"])
            cluster.run(0.01)
        self.assertGreater(len(cluster.nodes[0]._core.table), 0)
        cluster.run(2)
        for node, disk in zip(cluster.nodes, cluster.disks):
            self.assertEqual(len(node._core.table), 0)
            last = disk.checkpoints()[-1]
            self.assertEqual(last.executed, node._executor.executed)
            dropped = {id for written in disk.written for id in written.dropped}
            self.assertEqual(dropped, {record.id for w in disk.written for record in w.records})
        count = len(cluster.disks[0].checkpoints())
        cluster.run(3)
        self.assertEqual(len(cluster.disks[0].checkpoints()), count, "nothing changed: nothing to write")

    def test_many_commands_do_not_wait_for_the_next_checkpoint(self) -> None:
        """What they touched is forgotten by all, long before the timer would have a checkpoint written."""
        self.patch(epaxos.node.node, "CHECKPOINT_COMMANDS", 10)
        cluster = Cluster(Batching(checkpoint_s=3600)).start()
        for k in range(9):
            cluster.submit(k % 3, [b"k", b"x"])
            cluster.run(0.01)
        self.assertEqual(cluster.disks[0].checkpoints(), [])
        cluster.submit(0, [b"k", b"x"])
        cluster.run(0.05)
        for node, disk in zip(cluster.nodes, cluster.disks):
            self.assertEqual(len(disk.checkpoints()), 1)
            self.assertEqual(len(node._core.table), 0)

    def test_where_a_checkpoint_costs_nothing_it_comes_sooner(self) -> None:
        self.patch(epaxos.node.node, "CHECKPOINT_COMMANDS_IN_MEMORY", 2)
        self.patch(Disk, "persistent", False)
        cluster = Cluster(Batching(checkpoint_s=3600)).start()
        cluster.submit(0, [b"k", b"x"])
        cluster.run(0.05)
        self.assertEqual((cluster.disks[0].checkpoints(), len(cluster.nodes[0]._core.table)), ([], 1))
        cluster.submit(1, [b"k", b"x"])
        cluster.run(0.05)
        for node, disk in zip(cluster.nodes, cluster.disks):
            self.assertEqual((len(disk.checkpoints()), len(node._core.table)), (1, 0))
            self.assertEqual(
                (disk.batches(), node._applied), ([[]], []), "it has no use for what was executed"
            )

    def test_checkpoints_bring_what_was_executed(self) -> None:
        """Each batch once and in order, also those of others, and the last when the replica stops."""
        cluster = Cluster(Batching(checkpoint_s=0.5)).start()
        for step, text in enumerate((b"a", b"b", b"c", b"d", b"e")):
            cluster.submit(step % 3, [b"k", text])
            cluster.run(0.02)
            if text == b"c":
                cluster.run(1)
        self.successResultOf(cluster.nodes[0].stop())
        cluster.run(1)
        for disk, log in zip(cluster.disks, cluster.logs):
            self.assertEqual(disk.batches(), [[b"k a", b"k b", b"k c"], [b"k d", b"k e"]])
            ids = [[id for id, _ in each.batches] for each in disk.checkpoints()]
            self.assertEqual(ids, [[(0, 1), (1, 1), (2, 1)], [(0, 2), (1, 2)]])
            self.assertEqual([each.executed for each in disk.checkpoints()], [(1, 1, 1), (2, 2, 1)])
            self.assertEqual(log.texts, {b"k": b"abcde"})

    def test_what_only_reads_is_not_in_a_checkpoint(self) -> None:
        """But for barriers, of which nobody knows what they do; what reads and writes is."""
        cluster = Cluster(Batching(checkpoint_s=0.5)).start()
        for commands in ([[b"k", b"?"]], [[b"k", b"!"]], [[b"j", b"?"], [b"k", b"a"]], [[b"j", b"?"]]):
            cluster.submit(0, *commands)
            cluster.run(0.02)
        cluster.run(1)
        cluster.submit(1, [b"k", b"?"])
        cluster.run(1)
        for disk in cluster.disks:
            self.assertEqual(disk.batches(), [[b"k !", b"j ?\nk a"], []])
            self.assertEqual([each.executed for each in disk.checkpoints()], [(4, 0, 0), (4, 1, 0)])

    def test_the_whole_state_where_the_store_wants_it(self) -> None:
        """As it is after the batches of the checkpoint, which it has all the same, and not when the replica
        stops."""
        cluster = Cluster(Batching(checkpoint_s=0.5)).start()
        disk = cluster.disks[0]
        for text, wanted in ((b"a", False), (b"b", True), (b"c", False), (b"d", True)):
            disk.wants_state = wanted
            if text == b"d":
                cluster.submit(0, [b"other", text])
                cluster.run(0.1)
                self.successResultOf(cluster.nodes[0].stop())
            else:
                cluster.submit(0, [b"k", text])
                cluster.run(1)
        states = [None if each.state is None else dict(each.state) for each in disk.checkpoints()]
        self.assertEqual(states, [None, {b"k": b"ab"}, None, None])
        self.assertEqual(disk.batches(), [[b"k a"], [b"k b"], [b"k c"], [b"other d"]])

    def test_restart_takes_up_the_checkpoints_and_what_came_after(self) -> None:
        """A state, the batches of the checkpoints since, and then what is committed and in none of them."""
        cluster = Cluster(Batching(checkpoint_s=0.5)).start()
        disk = cluster.disks[2]
        for text in (b"x", b"y", b"z"):
            disk.wants_state = text == b"x"
            cluster.submit(0, [b"k", text])
            cluster.run(1)
        cluster.submit(1, [b"k", b"b"])
        cluster.run(0.1)
        base, *later = disk.checkpoints()
        checkpoint = later[-1]
        assert base.state is not None
        self.assertEqual((len(later), checkpoint.executed), (2, (3, 0, 0)))
        batches = {id: batch for w in disk.written for id, batch in w.batches}
        records = {record.id: record for w in disk.written for record in w.records}
        cluster.wires[2].receive = None
        cluster.logs[2], cluster.disks[2] = Log(), Disk()
        cluster.disks[2].restored = Restored(
            False,
            max(w.reserved or 0 for w in disk.written),
            (0, 0, 0),
            checkpoint.executed,
            checkpoint.beyond,
            [(record, batches.get(id)) for id, record in records.items()],
            [dict(base.state)],
            (executed for each in later for executed in each.batches),
        )
        cluster.nodes[2] = cluster.new(2, Batching())
        cluster.nodes[2].start()
        cluster.run(3)
        log = cluster.logs[2]
        self.assertEqual(log.texts, {b"k": b"xyzb"})
        self.assertEqual(log.batches, [[b"k b"]], "the others were not run again")
        self.assertEqual(
            [(ready.id, ready.batch.payload, ready.wanted) for ready in log.restored],
            [(InstanceId(0, 2), b"k y", False), (InstanceId(0, 3), b"k z", False)],
        )
        outcomes = cluster.submit(2, [b"k", b"c"])
        cluster.run(1)
        self.assertEqual(outcomes, [[b"xyzbc"]])
        cluster.run(1)
        self.assertEqual(cluster.disks[2].batches(), [[b"k b"], [b"k c"]], "it gets nothing that it gave")

    def test_clean_stop_gives_back_unused_slots(self) -> None:
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"a"])
        cluster.run(0.1)
        self.successResultOf(cluster.nodes[0].stop())
        last = cluster.disks[0].written[-1]
        self.assertEqual((last.reserved, last.checkpoint and last.checkpoint.executed), (1, (1, 0, 0)))


class FailureTests(SynchronousTestCase):
    def test_start_fails_as_the_store_and_the_transport_do(self) -> None:
        for part, error in (("disks", StoreError("damaged")), ("wires", OSError("in use"))):
            cluster = Cluster()
            getattr(cluster, part)[0].error = error
            self.assertIs(self.failureResultOf(cluster.nodes[0].start()).value, error)

    def test_start_fails_when_what_was_executed_cannot_be_applied_again(self) -> None:
        """As it does when the store cannot read it."""
        id, good = InstanceId(1, 1), Batch((b"k",), (), b"k a", 1)

        def unreadable() -> Iterator[tuple[InstanceId, Batch]]:
            yield id, good
            raise StoreError("damaged")

        for batches, text in (
            (iter([(id, good), (id, Batch((b"k",), (), b"poison", 1))]), "cannot be applied again: poison"),
            (unreadable(), "damaged"),
        ):
            cluster = Cluster()
            cluster.disks[0].restored = cluster.disks[0].restored._replace(batches=batches)
            error = self.failureResultOf(cluster.nodes[0].start(), StoreError).value
            self.assertIn(text, str(error))
            self.assertNotIn("\n", str(error))
            self.assertIsNone(cluster.wires[0].receive, "it does not take part")

    def test_a_batch_that_cannot_be_understood_stops_the_replica(self) -> None:
        cluster = Cluster().start()
        poison = Batch((b"k",), (), b"poison", 1)
        waiting = cluster.submit(0, [b"other", b"x"])
        cluster.arrive(1, 0, Commit(InstanceId(1, 1), 0, poison, (0, 0, 0)))
        cluster.clock.advance(0)
        self.assertEqual(cluster.fatal, ["a committed batch cannot be applied: poison"])
        self.assertIsInstance(waiting[0], Unavailable)
        cluster.run(1)
        self.assertEqual(len(cluster.fatal), 1)

    @plain_only
    def test_an_own_bug_stops_the_replica(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0]._core.receive = lambda sender, message: 1 // 0  # type: ignore[assignment]
        cluster.arrive(1, 0, Commit(InstanceId(1, 1), 0, NOP, (0, 0, 0)))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(cluster.fatal, ["internal error, see the log"])

    @plain_only
    def test_a_bug_outside_of_a_turn_stops_the_replica_too(self) -> None:
        """Else it would go on, and never write a checkpoint again, or wake at a time."""
        for what in ("_checkpoint", "_core.executed", "_core.next_deadline"):
            cluster = Cluster(Batching(checkpoint_s=0.5)).start()
            owner: Any = cluster.nodes[0]
            *path, name = what.split(".")
            for part in path:
                owner = getattr(owner, part)
            setattr(owner, name, lambda *_: 1 // 0)
            cluster.submit(0, [b"k", b"a"])
            cluster.run(2)
            self.assertEqual(cluster.fatal[:1], ["internal error, see the log"], what)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1, what)

    @plain_only
    def test_it_stops_also_when_the_clients_cannot_be_told(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0]._fail_all = lambda text: 1 // 0  # type: ignore[method-assign,assignment]
        with self.assertRaises(ZeroDivisionError):
            cluster.nodes[0].fail("the disk is full")
        self.assertEqual(cluster.fatal, ["the disk is full"])

    @plain_only
    def test_it_stops_before_it_logs_a_bug(self) -> None:
        """The log may be a pipe that nobody reads."""
        cluster = Cluster().start()
        cluster.nodes[0]._core.receive = lambda sender, message: 1 // 0  # type: ignore[assignment]
        fatal_then: list[list[str]] = []

        def observer(event: dict[str, Any]) -> None:
            if "internal error" in str(event.get("log_format")):
                fatal_then.append(list(cluster.fatal))

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        cluster.arrive(1, 0, Commit(InstanceId(1, 1), 0, NOP, (0, 0, 0)))
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(fatal_then, [["internal error, see the log"]])


class ConnectionTests(SynchronousTestCase):
    """What the transport says of connections reaches the core, and the node acts on it at once."""

    def up(self, cluster: Cluster) -> list[bool]:
        status: dict[str, Any] = self.successResultOf(cluster.nodes[0].status())
        return [member["up"] for member in status["members"]]

    def test_lost_and_back(self) -> None:
        cluster = Cluster().start()
        cluster.run(1.5)
        cluster.wires[0].connection(2, False)
        self.assertEqual(self.up(cluster), [True, True, False])
        cluster.wires[0].connection(2, True)
        self.assertEqual(self.up(cluster), [True] * 3)

    def test_what_the_lost_one_has_left_is_decided(self) -> None:
        """Without a heartbeat, and before the next timer of any other kind."""
        cluster = Cluster().start()
        cluster.run(1.5)
        cluster.held = {PreAcceptOK}
        cluster.submit(2, [b"k", b"a"])
        cluster.run(0.01)
        cluster.isolate(2)
        for survivor in (0, 1):
            cluster.wires[survivor].connection(2, False)
        cluster.run(0.05)
        for survivor in (0, 1):
            status = self.successResultOf(cluster.nodes[survivor].status())
            self.assertEqual(status["executed"], [0, 0, 1])

    @plain_only
    def test_an_own_bug_stops_the_replica(self) -> None:
        cluster = Cluster().start()
        cluster.nodes[0]._core.disconnected = lambda replica: 1 // 0  # type: ignore[assignment]
        cluster.wires[0].connection(2, False)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(cluster.fatal, ["internal error, see the log"])
        cluster.wires[0].connection(2, False)


class StatusTests(SynchronousTestCase):
    def test_fields(self) -> None:
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"a"])
        cluster.run(0.1)
        cluster.isolate(2)
        cluster.run(1.5)
        status: dict[str, Any] = self.successResultOf(cluster.nodes[0].status())
        self.assertEqual((status["id"], status["cluster"], status["next_slot"]), (0, "test", 2))
        self.assertEqual([member["up"] for member in status["members"]], [True, True, False])
        self.assertEqual((status["committed"], status["executed"]), ([1, 0, 0], [1, 0, 0]))
        self.assertEqual(status["digest"], digest_of([(b"k", b"a")]))
        counters = status["counters"]
        self.assertEqual((counters["fast_path"], counters["commands_executed"]), (1, 1))
        self.assertEqual(counters["commands_read"], 0)
        self.assertIn("store_writes", counters)
        self.assertIn("bytes_sent", counters)

    def test_digest_of_a_large_state_leaves_turns_to_others(self) -> None:
        cluster = Cluster().start()
        cluster.logs[0].texts = {b"%d" % k: b"v" for k in range(5000)}
        waiting = cluster.nodes[0].status()
        self.assertNoResult(waiting)
        cluster.logs[0].texts = {}
        cluster.run(0.01)
        expected = digest_of([(b"%d" % k, b"v") for k in range(5000)])
        self.assertEqual(self.successResultOf(waiting)["digest"], expected)


class SilentDiskTests(UnavailableCase):
    """The disk of one replica does not answer."""

    def hung(self) -> Cluster:
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"a"])
        cluster.run(0.1)
        cluster.disks[0].slow = True
        return cluster

    def logged(self, run: Callable[[], None]) -> list[str]:
        """What is said meanwhile of the disk."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        try:
            run()
        finally:
            globalLogPublisher.removeObserver(events.append)
        return [text for text in map(formatEvent, events) if "the disk" in text]

    def test_it_is_silent_and_says_so_once(self) -> None:
        cluster = self.hung()
        under_way = cluster.submit(0, [b"j", b"x"])
        said = self.logged(lambda: cluster.run(4))
        self.assertEqual(len(said), 1)
        self.assertIn("replica 0 is silent", said[0])
        cluster.wires[0].sends.clear()
        self.assertEqual(under_way, [], "what is under way may still come")
        new = cluster.submit(0, [b"i", b"x"])
        cluster.run(0.01)
        refused = self.one(new)
        self.assertFalse(refused.may_have_run)
        self.assertIn("the disk of this replica does not answer", str(refused))
        self.assertIn("was not run", str(refused))
        cluster.run(2)
        self.assertEqual(cluster.wires[0].sends, [])
        expired = self.one(under_way)
        self.assertTrue(expired.may_have_run)
        self.assertIn("the disk of this replica does not answer", str(expired))
        self.assertIn("may still run", str(expired))

    def test_the_others_go_on(self) -> None:
        """What it proposed, and claimed, is decided without it, and a barrier does not wait."""
        cluster = self.hung()
        cluster.submit(0, [b"k", b"x"])
        barrier = cluster.submit(1, [b"k", b"!"])
        cluster.run(4)
        self.assertEqual(len(barrier), 1)
        self.assertEqual(cluster.logs[1].texts, cluster.logs[2].texts)
        self.assertTrue(cluster.nodes[1]._core.suspects(0))
        served = cluster.submit(2, [b"k", b"y"])
        cluster.run(0.1)
        self.assertEqual(len(served), 1)
        self.assertNotIsInstance(served[0], Unavailable)

    def test_it_takes_up_when_the_disk_answers(self) -> None:
        cluster = self.hung()
        cluster.submit(0, [b"k", b"x"])
        cluster.run(1.9)  # no longer than others are suspected after
        for number in range(20):
            cluster.submit(1, [b"k", b"%d" % number])
            cluster.run(0.01)

        def answer() -> None:
            cluster.disks[0].slow = False
            cluster.disks[0].catch_up()
            cluster.run(0.01)
            core = cluster.nodes[0]._core
            self.assertEqual([core.suspects(other) for other in (1, 2)], [False, False], "they were heard")
            cluster.run(3)

        said = self.logged(answer)
        self.assertEqual(["answers again" in text for text in said], [True])
        self.assertEqual(cluster.logs[0].texts, cluster.logs[1].texts)
        served = cluster.submit(0, [b"k", b"z"])
        cluster.run(0.1)
        self.assertEqual(served, [[cluster.logs[1].texts[b"k"]]])
        self.assertEqual(cluster.fatal, [])

    def test_what_it_holds_meanwhile_does_not_grow(self) -> None:
        cluster = self.hung()
        cluster.submit(0, [b"k", b"x"])
        cluster.run(4)
        waiting, held = len(cluster.disks[0].waiting), len(cluster.nodes[0]._core.table)
        for _ in range(50):
            cluster.submit(1, [b"j", b"x"])
            cluster.run(0.05)
        self.assertLessEqual(len(cluster.disks[0].waiting), waiting + 1, "a checkpoint, perhaps")
        self.assertEqual(len(cluster.nodes[0]._core.table), held)

    def test_a_slow_disk_is_used(self) -> None:
        """Two seconds a sync: commands are answered, and the replica is silent once at most."""
        cluster = Cluster(Batching(request_timeout_s=60)).start()
        disk = cluster.disks[0]
        disk.slow = True
        outcomes: list[Outcome] = []

        def ask(_: object = None) -> None:
            if len(outcomes) < 5:
                cluster.nodes[0].submit([[b"k", b"x"]], answered)

        def answered(outcome: Outcome) -> None:
            outcomes.append(outcome)
            cluster.clock.callLater(0.01, ask)

        def catch_up() -> None:
            disk.catch_up()
            cluster.clock.callLater(2, catch_up)

        catch_up()
        ask()
        said = self.logged(lambda: cluster.run(30))
        self.assertEqual([outcome for outcome in outcomes if isinstance(outcome, Unavailable)], [])
        self.assertEqual(len(outcomes), 5)
        self.assertLessEqual(len([text for text in said if "silent" in text]), 1)


class CatchingUpTests(UnavailableCase):
    def test_clients_are_told(self) -> None:
        """A replica that lacks what others hold is no cluster without a quorum."""
        cluster = Cluster(Batching(request_timeout_s=0.5)).start()
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


class DoubledTests(SynchronousTestCase):
    """It stops with one clear line, and that is no bug of its own."""

    def test_a_claim_of_others(self) -> None:
        cluster = Cluster().start()
        cluster.arrive(1, 0, Heartbeat((900, 0, 0), (0, 0, 0)))
        cluster.run(0.01)
        self.assertEqual(len(cluster.fatal), 1)
        self.assertIn("replica 1 holds slot 900 of the row of replica 0", cluster.fatal[0])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_another_batch(self) -> None:
        """Even when it shows only as the own promise becomes durable."""
        for late in (False, True):
            cluster = Cluster().start()
            cluster.isolate(0)
            cluster.submit(0, [b"k", b"x"])
            cluster.run(0.01)
            other = cluster.logs[0].batch([[b"k", b"other"]])
            id = InstanceId(0, 1)
            if late:
                cluster.disks[0].slow = True
                cluster.nodes[0]._core._recoveries.start(id)
                cluster.run(0.001)
                ballot = cluster.nodes[0]._core.table.get(id).bal
                vote = RecoverOK(id, ballot, 1, Phase.ACCEPTED, other, (0, 0, 0), None)
                cluster.arrive(1, 0, vote)
                cluster.run(0.001)
                self.assertEqual(cluster.fatal, [])
                cluster.disks[0].catch_up()
            else:
                cluster.arrive(1, 0, Commit(id, 0, other, (0, 0, 0)))
            cluster.run(0.01)
            self.assertEqual(len(cluster.fatal), 1, late)
            self.assertIn("did not propose", cluster.fatal[0])
            self.assertEqual(self.flushLoggedErrors(), [])
