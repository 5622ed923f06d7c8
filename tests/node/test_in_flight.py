"""Bundles from the proposal to the replies."""

from __future__ import annotations

from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Outcome
from epaxos.node.cluster_clock import ClusterClock
from epaxos.node.in_flight import InFlight
from epaxos.node.intake import Intake
from epaxos.node.pacing import Pacing
from epaxos.node.reads import Reads
from epaxos.node.reruns import Reruns
from epaxos.node.step_times import StepTimes
from epaxos.node.submissions import Submission
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.clocks import NOT_HEARD, Clocks, Echo
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import NOP, Batch, Commit, PreAccept
from epaxos.protocol.values.output import Output
from tests.defaults import default_batching
from tests.node.lab import Cluster
from tests.node.recorder import Recorder, words


class InFlightTests(SynchronousTestCase):
    def test_answers_follow_execution_everywhere(self) -> None:
        cluster = Cluster().start()
        first = cluster.submit(0, [b"k", b"a"], [b"j", b"x"])
        self.assertEqual(first, [], "never before submit returns")
        cluster.run(0.1)
        second = cluster.submit(1, [b"k", b"b"])
        cluster.run(0.1)
        self.assertEqual((first, second), ([[b"a", b"x"]], [[b"ab"]]))
        self.assertEqual([log.texts for log in cluster.logs], [{b"k": b"ab", b"j": b"x"}] * 3)

    def test_an_instance_that_became_nop_is_proposed_again(self) -> None:
        cluster = Cluster(default_batching(request_timeout_s=60)).start()
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


class Core:
    """As much of a core as batches and reads in flight see."""

    def __init__(self) -> None:
        self.endings: set[InstanceId] = set()
        self.can_propose = True
        self.in_flight = 0
        self.next_slot = 1
        self.asked: list[tuple[str, int]] = []
        """What was begun: a batch by its payload with its slot, a read by its keys with its number."""

    def propose(self, batch: Batch) -> InstanceId:
        slot, self.next_slot = self.next_slot, self.next_slot + 1
        self.asked.append((batch.writes[0].decode(), slot))
        return InstanceId(0, slot)

    def read(self, keys: tuple[bytes, ...]) -> int:
        self.asked.append(("read " + b" ".join(sorted(keys)).decode(), self.next_slot))
        return len(self.asked)

    def end_read(self, number: int) -> None:
        """Nothing waits for it."""

    def take_output(self) -> Output:
        return Output()


class Controlled(SynchronousTestCase):
    """Cores that the test controls."""

    def setUp(self) -> None:
        self.core, self.next = Core(), Core()
        self.now = 0.0
        self.outcomes: list[Outcome] = []
        self.make(Recorder(), commands_max=1)

    def make(self, machine: Recorder, **batching: object) -> None:
        self.intake = Intake(machine, default_batching(**batching), None)
        self.reads = Reads(cast(Replica, self.core), machine, Reruns(self.intake, machine, int))
        self.in_flight = InFlight(
            cast(Replica, self.core), self.intake, Pacing(16), self.reads, lambda: self.now, StepTimes(), 1.0
        )

    def submit(self, *texts: str) -> None:
        self.intake.add(Submission(words(*texts), self.outcomes.append, 100.0, 10))
        self.in_flight.propose()


class MoveTests(Controlled):
    """What is under way when an epoch ends."""

    def move(self) -> list[tuple[str, int]]:
        """What is begun in the next epoch."""
        self.in_flight.move(cast(Replica, self.next))
        self.in_flight.propose()
        return self.next.asked

    def test_each_in_its_place(self) -> None:
        """A read stays between the writes that were begun before it and after it."""
        for text in ("SET a 1", "GET a", "SET a 2", "GET b"):
            self.submit(text)
        self.assertEqual(self.move(), [("a", 1), ("read a", 2), ("a", 2), ("read b", 3)])

    def test_a_void_batch_with_reads(self) -> None:
        """Both parts begin again, once: the reads with their batch."""
        self.submit("SET a 1", "GET b")
        self.assertEqual(self.core.asked, [("a", 1), ("read b", 2)])
        self.assertEqual(self.move(), [("a", 1), ("read b", 2)])
        self.assertEqual(len(list(self.reads.bundles())), 1)

    def test_the_reads_of_a_batch_that_has_run(self) -> None:
        self.submit("SET a 1", "GET b")
        self.in_flight.on_applied(InstanceId(0, 1), ["OK"])
        self.assertEqual(self.move(), [("read b", 1)])
        self.assertEqual(self.outcomes, [])

    def test_what_a_read_was_told_before_counts_no_more(self) -> None:
        """The numbers of slots of one epoch say nothing in another one."""
        self.submit("GET a")
        self.reads.on_answered([(1, (3, 0, 0))])
        self.move()
        self.assertEqual(self.reads.find_ready((9, 9, 9)), [])
        self.reads.on_answered([(1, (1, 0, 0))])
        self.assertEqual(self.reads.find_ready((0, 9, 9)), [])
        self.assertEqual(len(self.reads.find_ready((1, 0, 0))), 1)

    def test_what_overtakes_a_read_that_began_again(self) -> None:
        """Own instances from the slot on at which it began in the new epoch, not in the old one."""
        for text in ("SET a 1", "SET a 2", "GET a"):
            self.submit(text)
        self.assertEqual(self.core.asked[-1], ("read a", 3))
        self.in_flight.on_applied(InstanceId(0, 1), ["OK"])
        self.in_flight.on_applied(InstanceId(0, 2), ["OK"])
        self.move()
        self.submit("SET a 3")
        ((read, _),) = self.reads.waiting.values()
        self.assertEqual(read.since, 1)
        batch = Batch((b"a",), (), b"", 1)
        self.assertTrue(read.is_overtaken_by(InstanceId(0, 1), batch))


class SettlingTests(Controlled):
    """What comes right after a start."""

    def setUp(self) -> None:
        super().setUp()
        clock = self.clock = ClusterClock(lambda: self.now, lambda: self.now, settle_s=1.0)
        clock.move(0, (0, 1, 2))
        self.in_flight = InFlight(
            cast(Replica, self.core),
            self.intake,
            Pacing(16),
            self.reads,
            lambda: self.now,
            StepTimes(),
            1.0,
            clock,
        )
        for text in ("SET a 1", "GET a"):
            self.submit(text)

    def test_all_waits_until_the_clocks_are_known(self) -> None:
        self.assertEqual((self.core.asked, self.in_flight.hold_ends), ([], None))
        self.clock.on_clocks(1, Clocks(1, 1000, 0, (Echo(1, 0), NOT_HEARD, NOT_HEARD)))
        self.in_flight.propose()
        self.assertEqual((self.core.asked, self.in_flight.hold_ends), ([("a", 1), ("read a", 2)], None))

    def test_it_waits_no_longer_than_that(self) -> None:
        self.clock.on_met(1)
        self.in_flight.propose()
        self.assertEqual((self.core.asked, self.in_flight.hold_ends), ([], 1.0))
        self.now = 1.0
        self.in_flight.propose()
        self.assertEqual((len(self.core.asked), self.in_flight.hold_ends), (2, None))


class HeldBackTests(Controlled):
    """What comes while an instance is known that may end the epoch."""

    def setUp(self) -> None:
        super().setUp()
        self.submit("SET a 0")
        self.core.endings.add(InstanceId(2, 1))
        self.core.asked.clear()

    def names(self) -> list[str]:
        """What was begun since then."""
        return [name for name, _ in self.core.asked]

    def test_reads_do_not_wait(self) -> None:
        for text in ("SET a 1", "GET b", "SET c 1", "GET b", "STRLEN d"):
            self.submit(text)
        self.assertEqual(self.names(), ["read b", "read b", "read d"])
        self.assertEqual([one.commands[0][1] for one in self.intake.queue], [b"a", b"c"])

    def test_a_read_behind_a_write_of_its_key(self) -> None:
        """A client sees its own commands on one key in their order."""
        for text in ("SET a 1", "GET a", "GET b", "GET a"):
            self.submit(text)
        self.assertEqual(self.names(), ["read b"])
        self.core.endings.clear()
        self.in_flight.propose()
        self.assertEqual(self.names(), ["read b", "a", "read a", "read a"])

    def test_a_read_behind_what_writes_everything(self) -> None:
        for text in ("FLUSHDB", "GET b", "SET c 1", "GET c"):
            self.submit(text)
        self.assertEqual(self.names(), [])

    def test_reads_that_come_with_a_write(self) -> None:
        """They are answered together, so they wait together."""
        for texts in (("SET a 1", "GET b"), ("GET b",)):
            self.submit(*texts)
        self.assertEqual(self.names(), ["read b"])
        self.assertEqual(len(self.intake.queue), 1)

    def test_a_read_of_several_keys(self) -> None:
        """It is proposed, as a write is."""
        self.submit("MGET a b")
        self.assertEqual(self.names(), [])

    def test_many_reads_at_once(self) -> None:
        """They are read in bundles of no more commands than a batch has."""
        self.make(Recorder(), commands_max=2)
        for text in ("GET a", "GET b", "SET c 1", "GET d"):
            self.intake.add(Submission(words(text), self.outcomes.append, 100.0, 10))
        self.in_flight.propose()
        self.assertEqual(self.names(), ["read a b", "read d"])

    def test_when_the_front_of_the_queue_changes(self) -> None:
        """Nothing stays behind a command that was refused; what is put in front counts."""
        self.submit("SET a 1")
        self.submit("GET a")
        self.submit("GET c")
        self.assertEqual(self.names(), ["read c"])
        self.intake.queue.popleft()
        self.intake.add_first([Submission(words("SET c 1"), self.outcomes.append, 100.0, 10)])
        self.submit("GET c")
        self.assertEqual(self.names(), ["read c", "read a"])

    def test_each_is_looked_at_once(self) -> None:
        """Not each time that something else arrives."""
        machine = Recorder()
        self.make(machine)
        made: list[int] = []
        batch = machine.batch
        self.patch(machine, "batch", lambda commands: made.append(len(commands)) or batch(commands))
        for count in range(50):
            self.submit(f"SET k{count} 1")
        self.assertEqual(len(made), 50)

    def test_none_passes_what_begins_again(self) -> None:
        self.next.endings.add(InstanceId(1, 1))
        self.in_flight.move(cast(Replica, self.next))
        self.submit("GET a")
        self.assertEqual(self.next.asked, [])
        self.now = 1.0
        self.in_flight.propose()
        self.assertEqual([name for name, _ in self.next.asked], ["a", "read a"])

    def test_at_last_everything_is_proposed(self) -> None:
        for text in ("SET a 1", "GET a"):
            self.submit(text)
        self.now = 1.0
        self.in_flight.propose()
        self.assertEqual(self.names(), ["a", "read a"])
