"""When reads without an instance run, and what they see."""

from __future__ import annotations

from collections.abc import Sequence
from operator import sub
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Outcome, Reply, SimpleString
from epaxos.node.reads import PendingRead
from epaxos.node.reruns import reader_before
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import NOP, Batch, Commit, PreAccept, PreAcceptOK, Read, ReadOK
from tests.defaults import default_batching
from tests.node.lab import Cluster, UnavailableCase
from tests.node.recorder import Recorder, run, words


class PendingReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Recorder()
        self.done: list[Sequence[Reply]] = []

    def reading(self, *texts: str, since: int = 7) -> PendingRead:
        return PendingRead(words(*texts), since, lambda replies: self.done.append(list(replies)))

    def set(self, *texts: str) -> Batch:
        batch = self.store.batch(words(*texts))
        run(self.store, batch)
        return batch

    def test_keys(self) -> None:
        self.assertEqual(sorted(self.reading("GET b", "GET a", "TYPE b").keys), [b"a", b"b"])

    def test_when_it_is_ready(self) -> None:
        reading = self.reading("GET a")
        self.assertFalse(reading.is_ready((9, 9, 9)), "it is not known after what it comes")
        reading.deps = (0, 0, 0)
        self.assertTrue(reading.is_ready((0, 0, 0)))
        reading.deps = (3, 0, 5)
        for executed, ready in (
            ((3, 0, 5), True),
            ((4, 2, 9), True),
            ((2, 9, 9), False),
            ((9, 9, 4), False),
            ((0, 0, 0), False),
        ):
            self.assertIs(reading.is_ready(executed), ready, f"{executed}")

    def test_what_overtakes_it(self) -> None:
        """Own instances that were proposed later and write one of its keys, or are barriers."""
        reading = self.reading("GET a", "STRLEN b")
        for texts, overtakes in (
            (["SET a 1"], True),
            (["MSET x 1 b 2"], True),
            (["SET x 1", "GET a"], False),
            (["MGET a b"], False),
            (["SET x 1"], False),
            (["DBSIZE"], True),
        ):
            batch = self.store.batch(words(*texts))
            for slot, later in ((1, False), (6, False), (7, True), (8, True), (100, True)):
                self.assertIs(
                    reading.is_overtaken_by(InstanceId(1, slot), batch),
                    later and overtakes,
                    f"{texts} {slot}",
                )

    def test_replies_in_order(self) -> None:
        self.set("MSET a 1 b 22")
        reading = self.reading("STRLEN b", "GET a", "TYPE c", "GET b", "GET a")
        reading.on_read(self.store.read(reading.commands))
        self.assertEqual(self.done, [[2, b"1", SimpleString("none"), b"22", b"1"]])

    def test_run_before(self) -> None:
        """Only the keys that the batch writes are read, and each only once."""
        self.set("MSET a 1 b 2 c 3")
        reading = self.reading("GET a", "GET b", "STRLEN a", "GET c")
        self.store.asked.clear()
        overtaking = self.store.batch(words("SET a 1111", "SET x 1"))
        reading.run_before(overtaking, reader_before(self.store))
        self.assertEqual(self.store.asked, [b"GET a", b"STRLEN a"])
        run(self.store, overtaking)
        reading.run_before(self.store.batch(words("APPEND a x", "SET b 5")), reader_before(self.store))
        self.assertEqual(self.store.asked, [b"GET a", b"STRLEN a", b"GET b"])
        self.set("MSET a 6 b 7 c 8")
        self.assertEqual(self.done, [])
        reading.on_read(self.store.read(reading.commands))
        self.assertEqual(self.done, [[b"1", b"2", 1, b"8"]])

    def test_run_before_a_barrier(self) -> None:
        self.set("MSET a 1 b 2")
        reading = self.reading("GET b", "GET a")
        reading.run_before(self.store.batch(words("FLUSHALL")), reader_before(self.store))
        self.set("FLUSHALL")
        reading.on_read(self.store.read(reading.commands))
        self.assertEqual(self.done, [[b"2", b"1"]])

    def test_nothing_that_was_read_is_one_of_the_replies(self) -> None:
        """A missing key is a reply, too: it is not read again."""
        reading = self.reading("GET a", "GET b")
        reading.run_before(self.store.batch(words("SET a 1")), reader_before(self.store))
        self.set("MSET a 1 b 2")
        reading.run_before(self.store.batch(words("SET a 2")), reader_before(self.store))
        reading.on_read(self.store.read(reading.commands))
        self.assertEqual(self.done, [[None, b"2"]])


class ClusterTests(UnavailableCase):
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
        """Two replicas have written and answered their clients, while their Commits are on the way."""
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
        """The reader was not told of the write, and the replica that it asks first cannot answer."""
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
        """Replies keep their places; a read of a key that is written beside it runs among the writes."""
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
        """The later write runs first: a write of the key, of another key read, of everything, or of none."""
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
        """A write that the read has to see, and one that it must not see, become ready in one turn."""
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
        """The client is told in time, no replica is asked any more, and late answers do nothing."""
        for commands in ([[b"?", b"k"]], [[b"?", b"k"], [b"x", b"1"]]):
            cluster = Cluster(default_batching(request_timeout_s=2)).start()
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
            self.assertEqual((len(outcomes), cluster.fatal, cluster.nodes[0]._reads.waiting), (1, [], {}))
            again = cluster.submit(0, [b"?", b"k"])
            cluster.run(0.1)
            self.assertEqual(again, [[None]])

    def test_one_that_waits_for_an_instance_is_told_in_time(self) -> None:
        cluster = Cluster(default_batching(request_timeout_s=2)).start()
        cluster.held = {Commit}
        cluster.submit(1, [b"k", b"a"])
        cluster.run(0.02)
        outcomes = cluster.submit(0, [b"?", b"k"])
        cluster.run(2.5)
        self.one(outcomes)
        cluster.release(Commit)
        cluster.run(0.1)
        self.assertEqual((len(outcomes), cluster.logs[0].read_alone), (1, []))
        self.assertEqual(cluster.nodes[0]._reads.waiting, {})

    def test_an_instance_that_became_nop_is_proposed_again_with_its_reads(self) -> None:
        """The read was answered before, or not, or is answered in the same turn."""
        for held, together in (({PreAcceptOK}, False), ({PreAcceptOK, ReadOK}, False), ({ReadOK}, True)):
            cluster = Cluster(default_batching(request_timeout_s=60)).start()
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
            self.assertEqual(list(cluster.nodes[0]._in_flight.bundles()), [])

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
        cluster = Cluster(batch_bytes_max=120).start()
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
        """When the replica that is asked first is silent, another is asked, and first from then on."""
        cluster = Cluster().start()
        self.written(cluster)
        cluster.cut = {(0, 1), (1, 0)}
        for _ in range(5):
            outcomes = cluster.submit(0, [b"?", b"k"])
            cluster.run(0.02)
            self.assertEqual(outcomes, [[b"a"]])
        self.assertEqual([dest for dest, _ in cluster.sent(0, Read)], [1, 1, 2, 2, 2, 2, 2])
