"""The specification of transactions, marks, hashes and scripts, and that histories are judged by it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Reply
from epaxos.interfaces.composites import Owner, Transaction, lives_ended, transaction, unwatched, watched
from epaxos.verify.judges import transactions
from epaxos.verify.judges.history import History
from epaxos.verify.judges.linearizability import Verdict, judge
from epaxos.verify.judges.model import ERROR
from epaxos.verify.judges.transactions import SCRIPTS

OWNER, OTHER = Owner(0, b"1:7"), Owner(0, b"2:7")
COPY, COUNT, FAIL, FILL, LOOK = (script.text for script in SCRIPTS)


def words(text: str) -> list[bytes]:
    return [word.encode() for word in text.split()]


def guarded(*commands: str, places: str = "a", owner: Owner | None = OWNER) -> list[bytes]:
    """An EXEC of these commands."""
    asked = [(0, words(command)) for command in commands]
    return list(transaction(Transaction(owner, [(0, key) for key in words(places)], asked)))


def watch(keys: str, owner: Owner = OWNER) -> list[bytes]:
    return list(watched(owner, [(0, key) for key in words(keys)]))


EXEC = guarded("SET a x")
LIVES = list(lives_ended(0, b"2"))


class MeaningTests(SynchronousTestCase):
    def check(self, *pairs: object) -> None:
        store: dict[bytes, bytes] = {}
        for command, expected in zip(pairs[::2], pairs[1::2]):
            asked = words(command) if isinstance(command, str) else command
            self.assertEqual(transactions.run(store, asked), expected, asked)  # type: ignore[arg-type]

    def test_plain(self) -> None:
        self.check("GET a", None, "SET a 7", "OK", "INCR a", 8, "GET a", b"8", "DEL a", 1, "DEL a", 0)
        self.check("SET a x", "OK", "INCR a", ERROR, "HSET a f v", ERROR, "GET a", b"x")
        self.check("HSET h f 1", 1, "HSET h f 2", 0, "HSET h g 3", 1, "HGETALL h", [b"f", b"2", b"g", b"3"])
        self.check(
            "HSET h f 1", 1, "HGET h f", b"1", "GET h", ERROR, "HDEL h f", 1, "HDEL h f", 0, "GET h", None
        )

    def test_marks(self) -> None:
        done: list[Reply] = ["OK"]  # type: ignore[list-item]
        self.check(EXEC, None)
        self.check(watch("a"), "OK", EXEC, done, "GET a", b"x", EXEC, None)
        self.check(watch("a"), "OK", "SET b 1", "OK", "GET a", None, "DEL a", 0, EXEC, done)
        self.check(watch("a"), "OK", "SET a 1", "OK", "DEL a", 1, EXEC, None)
        self.check(watch("a"), "OK", watch("b"), "OK", "INCR b", 1, guarded("GET a", places="a b"), None)
        self.check(watch("a"), "OK", list(unwatched(OWNER)), "OK", EXEC, None)
        self.check(watch("a"), "OK", LIVES, None, EXEC, None)
        self.check(watch("a", OTHER), "OK", LIVES, None, guarded("SET a x", owner=OTHER), done)
        self.check(watch("a"), "OK", LIVES, None, watch("b"), "OK", guarded("SET a x", places="a b"), None)
        self.check(guarded("INCR n", "GET n", owner=None), [1, b"1"])

    def test_scripts(self) -> None:
        def run(text: bytes, keys: str, arguments: str) -> list[bytes]:
            names = words(keys)
            return [b"EVAL", text, b"%d" % len(names), *names, *words(arguments)]

        self.check("SET a 1", "OK", run(COPY, "a b", "2"), b"1", "GET b", b"2")
        self.check(run(COUNT + b"-- other", "n", "b 5"), b"1", "GET b", b"5", "GET n", b"1")
        self.check(run(FAIL, "a", "1"), ERROR, "GET a", None)
        self.check(run(FILL, "h", "v"), 1, "HGETALL h", [b"s", b"v"])
        self.check("SET b 3", "OK", run(LOOK, "a", "b 4"), b"3", "GET a", b"4")

    def test_keys(self) -> None:
        for command, count in (
            (words("SET a 1"), 1),
            ([b"EVAL", COUNT, *words("1 n b 5")], 2),
            (watch("a b"), 4),
            (guarded("GET c", "SET d 1"), 5),
            (guarded("GET c", owner=None, places=""), 1),
            (LIVES, 1),
        ):
            self.assertEqual(len(transactions.keys_of(command)), count, command)


class HistoryTests(SynchronousTestCase):
    def verdict(self, *events: tuple[list[bytes], object]) -> Verdict:
        history = History()
        for number, (command, reply) in enumerate(events):
            operation = history.call(f"x{number}", tuple(command), number, 0)
            history.answer(operation, reply)  # type: ignore[arg-type]
        return judge(history.operations, model=transactions).verdict

    def test_one_operation_of_several_keys(self) -> None:
        both = guarded("GET a", "GET b", owner=None, places="")
        write = guarded("SET a 1", "SET b 1", owner=None, places="")
        right = ((write, ["OK", "OK"]), (both, [b"1", b"1"]))
        self.assertIs(self.verdict(*right), Verdict.LINEARIZABLE)
        wrong = ((write, ["OK", "OK"]), (both, [b"1", None]))
        self.assertIs(self.verdict(*wrong), Verdict.NOT_LINEARIZABLE)

    def test_a_lost_update(self) -> None:
        change = (words("SET a 2"), "OK")
        events = ((watch("a"), "OK"), change, (EXEC, ["OK"]))
        self.assertIs(self.verdict(*events), Verdict.NOT_LINEARIZABLE)
        self.assertIs(self.verdict((watch("a"), "OK"), change, (EXEC, None)), Verdict.LINEARIZABLE)
        self.assertIs(self.verdict((watch("a"), "OK"), (EXEC, None)), Verdict.NOT_LINEARIZABLE)
