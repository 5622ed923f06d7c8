"""Tests of what the bench computes and speaks by itself; what it measures, it measures of other parts."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from random import Random
from struct import pack
from sysconfig import get_config_var
from tempfile import TemporaryDirectory
from threading import Thread, Timer
from typing import Any
from xml.etree import ElementTree

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.node import transfers
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.bench import report, wide_area
from tests.bench.__main__ import PAGE, SUMMARY
from tests.bench.comeback import Returning, bytes_installed
from tests.bench.compiled import lines_of, why_not
from tests.bench.etcd_wire import ACK, DATA, END_STREAM, HEADERS, PING, EtcdConversation, put
from tests.bench.instructions import counted
from tests.bench.load import RedisConversation, connections_of
from tests.bench.parts import Cores, set_commands
from tests.bench.plots import svg
from tests.bench.probe import Waits
from tests.bench.relay import Delay, Link
from tests.bench.results import Plot, Result, Row, Table
from tests.bench.revisions import BASE, CONTROL, THIS, Comparison, exported, turns
from tests.bench.session import Session
from tests.bench.steady import drive_steadily
from tests.bench.turning import Turns
from tests.bench.watch import growth

ROW = Row("work", "Redis", "/s", 30.0, 100.0, 0.3, 0.25, runs=[[30.0], [100.0]])
PLOT = Plot("name", "a < b", "ms", ["one", "two"], {"x": [1.0, None], "y": [2000.0, 0.5]})
RESULT = Result("Title", [ROW], [Table("t", ["a"], [["b"]])], [PLOT], ["how"], ["etcd"], "2020-01-01", True)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + pack(">BBI", kind, flags, stream) + payload


class CompiledTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source, self.build = Path(folder.name) / "source", Path(folder.name) / "build"
        for root in (self.source, self.build):
            (root / "epaxos" / "node").mkdir(parents=True)
            (root / "epaxos" / "protocol").mkdir()
            (root / "epaxos" / "protocol" / "state.py").write_text("one = 1\n")
        (self.build / "epaxos" / "node" / f"node{get_config_var('EXT_SUFFIX')}").touch()

    def test_a_build_of_the_same_sources_is_measured(self) -> None:
        self.assertIsNone(why_not(self.build, self.source))

    def test_a_build_of_other_sources_or_for_another_python_is_not(self) -> None:
        state = self.source / "epaxos" / "protocol" / "state.py"
        state.write_text("one = 2\n")
        self.assertIn("other sources", why_not(self.build, self.source) or "")
        state.write_text("one = 1\n")
        (self.source / "epaxos" / "new.py").touch()
        self.assertIn("other sources", why_not(self.build, self.source) or "")
        for native in (self.build / "epaxos" / "node").glob("*.so"):
            native.rename(native.with_name("node.cpython-39-other.so"))
        self.assertIn("make compiled", why_not(self.build, self.source) or "")


class ControlTests(SynchronousTestCase):
    def test_two_identical_builds_stand_beside_the_comparison(self) -> None:
        rates = {"compiled": [120.0, 60.0], "plain": [100.0, 50.0], "control": [101.0, 50.5]}
        figures = {**rates, **{f"{name}, LevelDB": figures for name, figures in rates.items()}}
        cells = [["90", "75", "1.20", "1.01"]] * 2
        self.assertEqual([line[1:] for line in lines_of("SET", figures)], cells)


class ResultsTests(SynchronousTestCase):
    def test_results_survive_json(self) -> None:
        self.assertEqual(Result.of_json(json.loads(json.dumps(RESULT.as_json()))), RESULT)

    def test_a_goal_may_be_a_bound_from_above(self) -> None:
        self.assertTrue(ROW.reached)
        self.assertFalse(Row("w", "a", "us", 30.0, 100.0, 0.3, 0.25, at_most=True).reached)

    def test_ratios_are_of_runs_that_were_neighbours(self) -> None:
        row = Session.row("w", "a", "/s", [1.0, 20.0, 3.0], [2.0, 40.0, 30.0], 0.4)
        self.assertEqual((row.figure, row.reference, row.ratio), (3.0, 30.0, 0.5))

    def test_markdown_names_rows_tables_plots_and_what_is_missing(self) -> None:
        text = report.markdown([RESULT], "a machine", "plots")
        for part in ("| work | Redis", "at least 0.25", "| yes", "| b ", "plots/name.svg", "etcd", "quick"):
            self.assertIn(part, text)

    def test_a_plot_is_xml_with_a_bar_for_each_value(self) -> None:
        tree = ElementTree.fromstring(svg(PLOT))
        bars = [bar for bar in tree.iter("{http://www.w3.org/2000/svg}rect") if bar.get("height") != "12"]
        self.assertEqual(len(bars), 3)

    def test_the_report_goes_between_the_marks_of_the_page(self) -> None:
        with TemporaryDirectory() as folder:
            page = Path(folder) / "page.md"
            page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            report.insert(page, "new\n")
            self.assertEqual(page.read_text(), f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n")
            page.write_text("no marks")
            self.assertRaises(ValueError, report.insert, page, "new")

    def test_the_pages_in_docs_have_the_marks(self) -> None:
        for path in (SUMMARY, PAGE):
            page = (Path(__file__).parents[2] / path).read_text()
            self.assertLess(page.index(report.BEGIN), page.index(report.END))


class RevisionsTests(SynchronousTestCase):
    def compared(self, this: float, control: float) -> Comparison:
        """Rounds in which the machine slows down; the ratios stay but for one round that was disturbed."""
        speeds = (1000.0, 500.0, 250.0)
        rates = {THIS: [this * speed for speed in speeds], CONTROL: [control * speed for speed in speeds]}
        rates[THIS][1] = 1.0
        spent_s = {THIS: [0.3, 0.2, 0.1], BASE: [0.2, 0.2, 0.2], CONTROL: [0.2, 0.3, 0.4]}
        return Comparison("SET", {**rates, BASE: list(speeds)}, spent_s)

    def test_this_tree_is_held_against_the_control_of_the_same_run(self) -> None:
        for this, control, slower in ((0.98, 1.0, False), (0.96, 1.0, True), (0.96, 0.98, False)):
            self.assertIs(self.compared(this, control).is_slower, slower, (this, control))

    def test_the_row_says_both_ratios_and_the_verdict(self) -> None:
        cells = self.compared(0.9, 1.01).cells()
        verdict = "UNDER control - 0.03"
        self.assertEqual(cells, ["SET", "225", "500", "0.900", "1.010", "1.000", "1.500", "3", verdict])
        self.assertEqual(self.compared(1.0, 1.0).cells()[-1], "not under control - 0.03")

    def test_each_build_comes_first_equally_often(self) -> None:
        orders = [turns("abc", number) for number in range(6)]
        self.assertEqual(sorted(order[0] for order in orders), list("aabbcc"))
        self.assertEqual({"".join(sorted(order)) for order in orders}, {"abc"})

    def test_a_revision_that_git_does_not_know(self) -> None:
        error = self.assertRaises(SystemExit, exported("no-such-revision").__enter__)
        self.assertIn("no-such-revision", str(error))


class RedisConversationTests(SynchronousTestCase):
    def test_a_block_is_sent_when_the_last_is_answered_wherever_replies_are_cut(self) -> None:
        conversation = RedisConversation(3, 0.5, Random(1))
        self.assertEqual(conversation.begin().count(b"*"), 3)
        replies = b"+OK\r\n$-1\r\n$16\r\nvvvvvvvvvvvvvvvv\r\n"
        answers = [conversation.answer(replies[start : start + 4]) for start in range(0, len(replies), 4)]
        self.assertEqual(sum(done for done, _ in answers), 3)
        self.assertEqual(sum(out != b"" for _, out in answers), 1)

    def test_an_error_ends_the_load(self) -> None:
        conversation = RedisConversation(1, 0.0, Random(1))
        self.assertRaises(RuntimeError, conversation.answer, b"-CLUSTERDOWN no quorum\r\n")

    def test_connections_are_spread_evenly(self) -> None:
        self.assertEqual(connections_of(51, 5), [11, 10, 10, 10, 10])


class EtcdConversationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.conversation = EtcdConversation(2, [put(b"key", b"value")])
        self.conversation.begin()

    def test_a_put_is_done_at_the_end_of_its_stream(self) -> None:
        data = frame(HEADERS, 4, 1) + frame(DATA, 0, 1, b"reply") + frame(HEADERS, 4 | END_STREAM, 1)
        self.assertEqual(self.conversation.answer(data[:20]), (0, b""))
        done, out = self.conversation.answer(data[20:])
        self.assertEqual(done, 1)
        self.assertEqual(int.from_bytes(out[5:9], "big"), 5)  # the third stream of this side

    def test_a_put_that_is_refused_does_not_count(self) -> None:
        """Its stream ends without a reply: etcd has too much to do.  Another one takes its place."""
        done, out = self.conversation.answer(frame(HEADERS, 4 | END_STREAM, 1))
        self.assertEqual((done, int.from_bytes(out[5:9], "big")), (0, 5))

    def test_a_ping_is_answered(self) -> None:
        ping = frame(PING, 0, 0, b"12345678")
        self.assertEqual(self.conversation.answer(ping), (0, frame(PING, ACK, 0, b"12345678")))


class WideAreaTests(SynchronousTestCase):
    def test_round_trips_are_symmetric(self) -> None:
        self.assertEqual(wide_area.round_trip_ms("IE", "CA"), wide_area.round_trip_ms("CA", "IE"))
        self.assertEqual(wide_area.round_trip_ms("CA", "CA"), 0)

    def test_the_optimum_is_the_nearest_fast_quorum(self) -> None:
        self.assertEqual(wide_area.optimum_ms("IE", wide_area.THREE), 70.5)
        self.assertEqual(wide_area.optimum_ms("CA", wide_area.FIVE), 59.9)

    def test_what_the_relay_needs_itself_is_taken_off_its_links(self) -> None:
        link = wide_area.shorter(Link(1, 2, {"": 0.0, "a": 0.75}, 1, 3), 0.25)
        self.assertEqual((link.port, link.to, link.replica, link.n), (1, 2, 1, 3))
        self.assertEqual(link.round_trip_s, {"": 0.0, "a": 0.5})

    def test_a_commit_belongs_to_the_command_that_waited_for_it(self) -> None:
        waits = wide_area.command_waits([(0.0, 0.1), (0.1, 0.3)], [0.1005, 0.25])
        self.assertEqual([round(commit) for commit in waits.commits], [100, 150])

    def test_a_delay_keeps_the_order(self) -> None:
        clock = Clock()
        out: list[int] = []
        delay = Delay(clock, [], clock.seconds)
        delay.delay_s = 1.0
        for number in range(3):
            delay.give(lambda number=number: out.append(number))  # type: ignore[misc]
            clock.advance(0.25)
        self.assertEqual(out, [])
        clock.advance(0.25)
        self.assertEqual(out, [0])
        clock.pump([0.25, 0.25])
        self.assertEqual(out, [0, 1, 2])


class CoresTests(SynchronousTestCase):
    def test_cores_agree_and_forget(self) -> None:
        cores = Cores(3)
        machine = KeyValueStore()
        for number in range(30):
            cores.replicas[number % 3].propose(machine.batch(set_commands(2, Random(number))))
            cores.settle()
        self.assertEqual(cores.decided, [30] * 3)
        cores.tick()
        cores.tick()
        self.assertEqual([len(replica.table) for replica in cores.replicas], [0] * 3)


class InstructionsTests(SynchronousTestCase):
    def test_what_cachegrind_says(self) -> None:
        self.assertEqual(counted("==7== Cachegrind\n==7== \n==7== I   refs:      1,234,567\n"), 1_234_567)
        self.assertRaisesRegex(ValueError, "no such", counted, "valgrind: no such option")


class TurnsTests(SynchronousTestCase):
    def waits(self) -> Waits:
        waits = Waits()
        for begin, wait_s in ((0.0, 0.001), (1.0, 0.002), (2.0, 0.5), (2.5, 0.001), (3.0, 0.001)):
            waits.add(begin, wait_s)
        return waits

    def test_a_wait_counts_in_the_window_in_which_it_begins_or_is_under_way(self) -> None:
        waits = self.waits()
        self.assertEqual(waits.longest_s(0.5, 2.0), 0.002)
        self.assertEqual(waits.longest_s(1.5, 2.1), 0.5)
        self.assertEqual(waits.longest_s(2.2, 2.6), 0.5)
        self.assertEqual(waits.longest_s(2.7, 9.0), 0.001)

    def test_each_turn_stands_beside_a_quiet_window(self) -> None:
        found = Turns.of(self.waits(), [(0.0, 0.5), (1.0, 1.5)], [(0.5, 1.5), (1.6, 2.4)])
        cells = found._replace(per_s=19_999.6).cells()
        self.assertEqual(cells, ["20,000", "1.0", "1.5", "2.0", "251.0", "500.0", "167.33", "499.0"])


class GrowthTests(SynchronousTestCase):
    def test_a_sawtooth_does_not_grow(self) -> None:
        found = growth([(float(at), float(at % 10)) for at in range(400)])
        self.assertEqual(found[:2], (9.0, 9.0))
        self.assertLess(abs(found.per_hour), 5.0)

    def test_what_grows_by_one_a_second(self) -> None:
        found = growth([(100.0 + at, 7.0 + at) for at in range(10)])
        self.assertEqual(found[:2], (11.0, 16.0))
        self.assertAlmostEqual(found.per_hour, 3600.0)

    def test_a_few_samples_show_nothing(self) -> None:
        self.assertRaises(ValueError, growth, [(0.0, 1.0)] * 3)


class ReturningTests(SynchronousTestCase):
    @staticmethod
    def status(number: int, executed: list[int], behind: object = None) -> dict[str, Any]:
        return {"epoch": {"number": number, "behind": behind}, "executed": executed}

    def test_who_has_executed_what_the_other_had_is_back(self) -> None:
        there = self.status(3, [5, 5, 0])
        returning = Returning()
        self.assertFalse(returning.is_back(self.status(2, [9, 9, 9]), there))
        self.assertFalse(returning.is_back(self.status(3, [5, 4, 9]), there))
        self.assertTrue(returning.is_back(self.status(3, [5, 5, 0]), there))
        self.assertTrue(returning.is_back(self.status(4, [0, 0, 0]), there))

    def test_who_takes_a_state_is_not_back(self) -> None:
        returning = Returning()
        for taken in (700, 300):  # it began with another source
            status = self.status(3, [5, 5, 5], {"taken_bytes": taken})
            self.assertFalse(returning.is_back(status, self.status(3, [5, 5, 5])))
        self.assertEqual(returning.seen_bytes, 700)

    def test_what_its_log_says_of_states(self) -> None:
        said = "replica 2 begins again with the state of epoch {}, {} bytes, taken in {} s\n"
        self.assertEqual(
            bytes_installed("\n" + said.format(3, 700, 1.5) + "ready\n" + said.format(5, 20, 1)), 720
        )
        source = Path(transfers.__file__).with_name("transfers.py").read_text()
        self.assertIn(said.format("{number}", "{bytes}", "{seconds}").partition(" 2 ")[2].strip(), source)


class SteadyTests(SynchronousTestCase):
    """The generator, with a server that answers what it is told to."""

    def drive(self, reply: bytes) -> tuple[int, float]:
        here, told = socket.socketpair()
        listening = socket.create_server(("127.0.0.1", 0))
        for opened in (here, told, listening):
            self.addCleanup(opened.close)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                while data := connection.recv(1 << 18):
                    connection.sendall(reply * data.count(b"*3"))

        server = Thread(target=serve, daemon=True)
        server.start()
        timer = Timer(0.5, here.send, (b"end",))
        timer.start()
        try:
            return drive_steadily(listening.getsockname()[1], 1000.0, 10, told)
        finally:
            timer.cancel()
            server.join(10)

    def test_the_rate_is_kept(self) -> None:
        answered, seconds = self.drive(b"+OK\r\n")
        self.assertGreaterEqual(seconds, 0.4)
        self.assertLess(abs(answered - 1000 * seconds), 250)

    def test_a_refusal_is_told(self) -> None:
        self.assertRaisesRegex(RuntimeError, "CLUSTERDOWN", self.drive, b"-CLUSTERDOWN no: ERROR\r\n")
