"""The judge of real histories finds violations, and nothing else, in histories that were made by hand."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.verify.judges.history import Operation
from tests.cluster.record import Findings, Recorder, judge_all

UNKNOWN = object()
REFUSED = object()


class RecorderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.recorder = Recorder()
        self.count = 0

    def call(self, command: str) -> Operation:
        self.count += 1
        return self.recorder.call(f"c{self.count}", tuple(command.encode().split()), 0)

    def done(self, command: str, reply: Any) -> None:
        """An operation during which no other is under way."""
        self.end(self.call(command), reply)

    def end(self, operation: Operation, reply: Any) -> None:
        if reply is UNKNOWN or reply is REFUSED:
            self.recorder.give_up(operation, may_have_run=reply is UNKNOWN)
        else:
            self.recorder.answer(operation, reply)

    def judge(self, **more: int) -> Findings:
        return judge_all(self.recorder.operations(), **more)

    def check_good(self, **more: int) -> None:
        findings = self.judge(**more)
        self.assertEqual((findings.wrong, findings.undecided), ([], 0))

    def check_wrong(self, expected: str, **more: int) -> None:
        (text,) = self.judge(**more).wrong
        self.assertIn(expected, text)

    def test_a_good_one(self) -> None:
        self.done("SET a 1", "OK")
        self.done("GET a", b"1")
        self.done("MSET b 1 c 2", "OK")
        self.done("MGET c b", [b"2", b"1"])
        self.done("INCR n", 1)
        self.done("DEL a", 1)
        self.done("DBSIZE", 3)
        self.check_good()

    def test_a_stale_read(self) -> None:
        self.done("SET a 1", "OK")
        self.done("SET a 2", "OK")
        self.done("GET a", b"1")
        self.check_wrong("GET a -> b'1'")

    def test_an_acknowledged_write_that_is_lost(self) -> None:
        self.done("SET a 1", "OK")
        self.done("GET a", None)
        self.check_wrong("GET a -> None")

    def test_a_count_that_two_clients_got(self) -> None:
        first, second = self.call("INCR n"), self.call("INCR n")
        self.end(first, 1)
        self.end(second, 1)
        self.check_wrong("INCR n -> 1")

    def test_half_of_a_multiple_write(self) -> None:
        self.done("MSET a 1 b 2", "OK")
        self.done("MGET a b", [b"1", None])
        self.check_wrong("MGET a b")

    def test_reads_that_go_back(self) -> None:
        """The outcome of the write is unknown; but when one client has read it, later reads see it, too."""
        self.done("SET a 1", UNKNOWN)
        self.done("GET a", b"1")
        self.done("GET a", None)
        self.check_wrong("GET a -> None")

    def test_unknown_outcomes(self) -> None:
        """An operation of unknown outcome may take effect late or never; one that was refused must not."""
        self.done("SET a 1", UNKNOWN)
        self.done("GET a", None)
        self.done("GET a", b"1")
        self.done("SET b 1", UNKNOWN)
        self.done("GET b", None)
        self.check_good()
        self.done("SET c 1", REFUSED)
        self.done("GET c", b"1")
        self.check_wrong("GET c -> b'1'")

    def test_many_unknown_counts_of_one_key(self) -> None:
        """It makes no difference which of equal operations has run, so no search is needed."""
        for number in range(20):
            self.done("INCR n", UNKNOWN)
            self.done("GET n", b"%d" % (number // 2 + 1))
        self.assertLess(self.judge().steps, 2000)
        self.check_good()
        self.done("GET n", b"21")
        self.check_wrong("GET n -> b'21'")

    def test_sizes(self) -> None:
        self.done("SET a 1", "OK")
        self.done("SET b 1", UNKNOWN)
        self.done("SET c 1", "OK")
        self.done("DEL c", 1)
        for size in (1, 2, 3):
            self.done("DBSIZE", size)
        self.check_good()
        self.done("DBSIZE", 0)
        self.check_wrong("there were 1 to 3 keys")

    def test_sizes_with_keys_from_before(self) -> None:
        self.done("SET a 1", "OK")
        self.done("DBSIZE", 7)
        self.check_good(keys_before=5, keys_in_doubt=1)
        self.check_wrong("there were 6 to 6 keys", keys_before=5)
