"""The picture of a cluster: what it shows, and that it fits on any terminal."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.ctl.health.figures import bar, count, seconds, share, spark
from epaxos.ctl.health.frame import View, frame
from epaxos.ctl.health.values import ERROR, Finding
from epaxos.ctl.members import Answer
from tests.ctl.health.healthy import changed, healthy


def text_of(view: View) -> str:
    return "\n".join(line.plain for line in frame(view))


class FrameTests(SynchronousTestCase):
    def test_a_healthy_cluster(self) -> None:
        head, load, empty, titles, first, *_ = text_of(View(healthy(), [], 200)).splitlines()
        self.assertEqual(head, "cluster shop, 3 of 3 up, epoch 2, version 2")
        self.assertEqual((load, empty), ("3600 commands/s, 3600 executed/s", ""))
        wanted = "id state sees cmd/s exec/s p50 p99 fast disk p99 written/s lag held clients memory late p99"
        self.assertEqual(titles.split(), wanted.split())
        wanted = "0 here 0 1 2 1200 3600 2.1 ms 15 ms 97 % 4.5 ms 250.0 kB 0 12 12 77.0 MB 2.0 ms"
        self.assertEqual(first.split(), wanted.split())

    def test_every_width(self) -> None:
        answers = healthy()
        changed(answers[0], warnings=[[1_800_000_000_000, "warn", "x" * 300]])
        titles = []
        for width in range(20, 200):
            lines = frame(View(answers, [Finding(ERROR, "x", (1,), "y" * 300, "z")], width, draws=True))
            self.assertEqual([line.plain for line in lines if len(line) > width], [], width)
            titles.append(len(lines[3].plain.split()))
            self.assertEqual(lines[3].plain.split()[:2], ["id", "state"])
        self.assertEqual(titles, sorted(titles), "a wider terminal shows no less")
        self.assertEqual(titles[0], 2 + 1)

    def test_no_more_rows_than_there_are(self) -> None:
        answers = healthy()
        changed(answers[0], warnings=[[1_800_000_000_000 + each, "warn", f"w{each}"] for each in range(5)])
        for rows in range(1, 30):
            lines = frame(View(answers, [], 80, rows))
            self.assertLessEqual(len(lines), rows)
            self.assertEqual(any("last warnings" in line.plain for line in lines), rows >= 10, rows)

    def test_who_is_down_and_who_sees_whom(self) -> None:
        answers = healthy()
        answers[2] = Answer(answers[2].member, "", error="refused")
        changed(answers[0], members=[{"id": id, "up": id < 2} for id in range(3)])
        changed(answers[1], members=[{"id": id, "up": id < 2} for id in range(3)])
        shown = text_of(View(answers, [], 120))
        self.assertIn("2 of 3 up", shown)
        self.assertIn("0   here   0 1 -", shown)
        self.assertIn("2   down   ?", shown)
        changed(answers[1], members=[{"id": id, "up": True} for id in range(3)])
        self.assertIn("2   not asked  ?", text_of(View(answers, [], 120)))

    def test_who_takes_a_state(self) -> None:
        answers = healthy()
        behind = {"epoch": 2, "source": 0, "taken_bytes": 5_000_000, "bytes": 10_000_000}
        changed(answers[1], epoch__behind=behind)
        shown = text_of(View(answers, [], 120))
        self.assertIn(f"replica 1 {bar(0.5, 20)} takes the state of member 0: 50 %, 5.0 MB of 10.0 MB", shown)

    def test_a_turn_that_goes_on(self) -> None:
        answers = healthy()
        changed(answers[0], program__unsettled_s=7)
        changed(answers[2], epoch__number=1)
        shown = text_of(View(answers, [], 120))
        self.assertIn(f"turn to epoch 2 {bar(2 / 3, 20)} 2 of 3 are there, 7 s", shown)
        self.assertIn("replica 2 is in epoch 1, and follows to 2", shown)

    def test_the_newest_warnings_of_all(self) -> None:
        answers = healthy()
        for number, answer in enumerate(answers):
            lines = [
                [1_800_000_000_000 + 10 * each + number, "warn", f"\x1b[31mw{each}"] for each in range(3)
            ]
            changed(answer, warnings=lines)
        shown = text_of(View(answers, [], 120)).splitlines()
        told = [line.split(" ", 1)[1] for line in shown[shown.index("last warnings") + 1 :]]
        self.assertEqual([line.split()[1] for line in told], ["2", "1", "0", "2", "1"])
        self.assertEqual(told[0], "replica 2 warn: [31mw2")

    def test_members_of_an_earlier_version(self) -> None:
        answers = healthy()
        for answer in answers:
            for name in ("program", "host", "clients", "last_second", "last_minute", "warnings"):
                del answer.status[name]
        self.assertIn("0   here   0 1 2      -", text_of(View(answers, [], 120)))

    def test_nobody_answers(self) -> None:
        answers = [Answer(answer.member, "", error="refused") for answer in healthy()]
        self.assertIn("cluster -, 0 of 3 up", text_of(View(answers, [], 80)))

    def test_a_curve(self) -> None:
        shown = text_of(View(healthy(), [], 80, totals=[0, 50, 100], draws=True))
        self.assertIn("executed/s   ▄█", shown)
        self.assertNotIn("█", text_of(View(healthy(), [], 80, totals=[0, 50, 100])))


class FiguresTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        counts = [count(each) for each in (None, 0, 9_999, 12_345, 2.5e6)]
        self.assertEqual(counts, ["-", "0", "9999", "12.3 k", "2.5 M"])
        self.assertEqual(
            [seconds(each) for each in (None, 0.00012, 0.0012, 0.012, 1.2)],
            ["-", "0.12 ms", "1.2 ms", "12 ms", "1.2 s"],
        )
        shares = [share(each) for each in (None, 0, 0.5, 0.995, 1)]
        self.assertEqual(shares, ["-", "0 %", "50 %", "99.5 %", "100 %"])

    def test_bars(self) -> None:
        self.assertEqual([bar(each, 4) for each in (-1, 0.5, 2)], ["[....]", "[##..]", "[####]"])
        self.assertEqual([spark([1, 2], 1), spark([0, 0], 5), spark([1, 2], -3)], ["█", "  ", ""])
