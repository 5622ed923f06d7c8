"""EVAL, EVALSHA and SCRIPT on the store."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.interfaces import Command, CommandError, IClusterClock, NilArray, Ready, RunAgain
from epaxos.interfaces.composites import Transaction, in_database, transaction
from epaxos.interfaces.doubles import text_of_double
from epaxos.statemachines.redis.commands import COMMANDS
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.names import SCRIPTS_NAME
from epaxos.statemachines.redis.script_calls import NOSCRIPT
from epaxos.statemachines.redis.script_table import ScriptTable, _short_sha, sha_of
from tests.statemachines.redis.lab import ID

INCR = b"return redis.call('incr', KEYS[1])"
OTHER = b"redis.call('set', KEYS[1], 1) return redis.call('set', ARGV[1], 2)"


@implementer(IClusterClock)
class Clock:
    is_trusted = True
    is_settling = False

    def now_ms(self) -> int:
        return 1_700_000_000_123


def store_of(**options: bool) -> KeyValueStore:
    store = KeyValueStore(**options)  # type: ignore[arg-type]
    store.use_clock(Clock(), lambda: 7)
    return store


def plain(reply: object) -> object:
    if isinstance(reply, NilArray):
        return None
    if isinstance(reply, float):
        return text_of_double(reply)
    if isinstance(reply, list):
        return list(map(plain, reply))
    return str(reply) if isinstance(reply, CommandError) else reply


class ScriptCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = store_of()
        self.log: list[tuple[bool, tuple[bytes, ...], tuple[bytes, ...]]] = []

    def propose(self, command: Command) -> object:
        """As a replica: check, propose, apply, and run again where the reply says so."""
        try:
            if not command[0].startswith(b"\0"):
                self.store.check(command)
        except CommandError as error:
            return str(error)
        batch = self.store.batch([command])
        self.log.append((batch.barrier, tuple(batch.writes), tuple(batch.reads)))
        (reply,) = self.store.apply([Ready(ID, batch, True)])[0]
        if isinstance(reply, RunAgain):
            self.propose(reply.first)
            return self.propose(command)
        return plain(reply)

    def ask(self, *words: bytes) -> object:
        return self.propose(words)

    def again(self) -> Sequence[bytes]:
        """The entries of the state, taken into a new store."""
        entries = dict(self.store.entries())
        self.store = store_of()
        self.store.restore(entries, ())
        return sorted(entries)


class EvalTests(ScriptCase):
    def test_keys_are_those_of_the_batch(self) -> None:
        self.assertEqual(self.ask(b"EVAL", INCR, b"1", b"k"), 1)
        self.assertEqual(self.log[-1], (False, (b"k", SCRIPTS_NAME), ()), "it is taken into the table")
        self.assertEqual(self.ask(b"EVAL", INCR, b"1", b"k"), 2)
        self.assertEqual(self.log[-1], (False, (b"k",), (SCRIPTS_NAME,)), "the table has it")
        self.assertEqual(self.ask(b"EVAL_RO", b"return redis.call('get', KEYS[1])", b"1", b"k"), b"2")
        self.assertEqual(self.ask(b"EVAL", INCR, b"1", b"k"), 3)

    def test_wrong_arguments(self) -> None:
        for words, error in (
            ((INCR, b"x"), "ERR value is not an integer or out of range"),
            ((INCR, b"-1"), "ERR Number of keys can't be negative"),
            ((INCR, b"2", b"k"), "ERR Number of keys can't be greater than number of args"),
            ((INCR,), "ERR wrong number of arguments for 'eval' command"),
            ((b"-" * 300_000, b"0"), "ERR a script may have 262144 bytes"),
        ):
            self.assertEqual(self.ask(b"EVAL", *words), error)
        self.assertEqual(
            self.ask(b"EVAL", b"x y", b"0"),
            "ERR Error compiling script (new function): user_script:1: '=' expected near 'y'",
        )
        self.assertEqual(self.ask(b"SCRIPT", b"EXISTS", sha_of(b"x y")), [0])

    def test_who_fails_has_no_effect(self) -> None:
        self.ask(b"SET", b"k", b"before")
        for end in (b"error('x')", b"x = 1", b"redis.call('incr', KEYS[1])", b"while true do end"):
            reply = self.ask(b"EVAL", b"redis.call('set', KEYS[1], 'after') " + end, b"1", b"k")
            self.assertTrue(str(reply).startswith("ERR"), reply)
            self.assertEqual(self.ask(b"GET", b"k"), b"before", end)
        self.assertEqual(
            self.ask(b"EVAL", b"redis.call('set', KEYS[1], 'after') return {err='MY x'}", b"1", b"k"), "MY x"
        )
        self.assertEqual(self.ask(b"GET", b"k"), b"after", "an error that is returned is a reply")

    def test_what_may_not_be_called(self) -> None:
        for name in (b"eval", b"script", b"subscribe", b"multi", b"config"):
            reply = self.ask(b"EVAL", b"return redis.pcall(ARGV[1], 'x', 0)", b"0", name)
            self.assertEqual(reply, "ERR This Redis command is not allowed from script", name)
        for name in (b"nope", b"\0DUE", b"\0EXEC"):
            reply = self.ask(b"EVAL", b"return redis.pcall(ARGV[1], 'x', 0)", b"0", name)
            self.assertEqual(reply, "ERR Unknown Redis command called from script", name)
        text = b"return {redis.pcall('object', 'nope', 'k'), redis.pcall('object', 'encoding')}"
        self.assertEqual(
            [str(reply) for reply in self.ask(b"EVAL", text, b"0")],  # type: ignore[union-attr]
            [
                "ERR Unknown Redis command called from script",
                "ERR Wrong number of args calling Redis command from script",
            ],
        )
        write = b"return redis.pcall('set', KEYS[1], 'x')"
        read_only = "ERR Write commands are not allowed from read-only scripts."
        self.assertEqual(self.ask(b"EVAL_RO", write, b"1", b"k"), read_only)
        self.assertEqual(self.ask(b"EVAL", b"#!lua flags=no-writes\n" + write, b"1", b"k"), read_only)

    def test_commands_of_a_connection(self) -> None:
        text = b"return {redis.call('ping'), redis.call('echo', 'x'), redis.call('time')[2]}"
        self.assertEqual(self.ask(b"EVAL", text, b"0"), ["PONG", b"x", b"123000"])

    def test_without_a_clock(self) -> None:
        self.store = KeyValueStore()
        reply = self.ask(b"EVAL", b"return redis.call('time')", b"0")
        self.assertIn("CLOCKSKEW", str(reply))

    def test_errors_that_name_any_bytes(self) -> None:
        for call in (b"'expire', KEYS[1], '1', '\\255'", b"'pexpire', KEYS[1], '1', '\\255'"):
            text = b"local ok, e = pcall(redis.call, " + call + b") return {type(e), e}"
            reply = self.ask(b"EVAL", text, b"1", b"k")
            assert isinstance(reply, list)
            self.assertEqual(reply[0], b"string")
            self.assertIn(b"\xff", reply[1])

    def test_long_runs_are_the_same(self) -> None:
        text = b"for i = 1, 3000 do redis.call('incr', KEYS[1]) end return redis.call('get', KEYS[1])"
        self.assertEqual(self.ask(b"EVAL", text, b"1", b"k"), b"3000")

    def test_a_fence_is_taken_once(self) -> None:
        take = b"return redis.call('set', KEYS[1], 'v', 'NX', 'PX', '1000', 'FENCE')"
        short, long = store_of(), store_of()
        replies = []
        for store, more in ((short, b""), (long, b"for i = 1, 1e6 do end ")):
            self.store = store
            replies.append(self.ask(b"EVAL", more + take, b"1", b"k"))
        self.assertEqual(replies[0], replies[1])

    def test_due_keys(self) -> None:
        self.ask(b"SET", b"k", b"v", b"PXAT", b"1700000000200")
        Clock.now_ms = lambda self: 1_700_000_000_300  # type: ignore[method-assign]
        self.addCleanup(setattr, Clock, "now_ms", lambda self: 1_700_000_000_123)
        self.assertIsNone(self.ask(b"EVAL_RO", b"return redis.call('get', KEYS[1])", b"1", b"k"))
        self.assertEqual(self.ask(b"DBSIZE"), 0)


CALLS = """
SET s v|GET s|SETNX s v|SETEX s 9 v|PSETEX s 9 v|SET s 5|GETSET s 5|GETEX s|INCR s|DECR s|INCRBY s 2
DECRBY s 2|INCRBYFLOAT s 1.5|MGET s x|MSET s v s2 v|MSETNX s v s3 v|APPEND s w|STRLEN s
GETRANGE s 0 1|SUBSTR s 0 1|SETRANGE s 1 w|LCS s s2|LCS s s2 IDX|LCS s s2 LEN|HSET h f v g w
HSETNX h f v|HMSET h f v|HINCRBY h n 1
HINCRBYFLOAT h n 1.5|HDEL h n|HGET h f|HMGET h f x|HEXISTS h f|HSTRLEN h f|HLEN h|HGETALL h|HKEYS h|HVALS h
PFADD p a b|PFADD q c|PFCOUNT p q|PFMERGE r p q
SETBIT b 7 1|GETBIT b 7|BITCOUNT b|BITPOS b 1|BITOP NOT n b|BITFIELD b INCRBY u8 0 300|BITFIELD_RO b GET u8 0
SADD t 1 2 3|SADD u 2 x|SREM t 3|SISMEMBER t 1|SMISMEMBER t 1 9|SCARD t|SMEMBERS t|SMOVE u t x|SINTER t u
SUNION t u|SDIFF t u|SINTERCARD 2 t u|SINTERSTORE v t u|SUNIONSTORE v t u|SDIFFSTORE w t u|SRANDMEMBER t
SPOP w 9|SPOP none|SSCAN t 0
LPUSH l a b c|RPUSH l d|LPUSHX l e|RPUSHX l f|LPOP l|RPOP l 1|LPOP none 1|LLEN l|LRANGE l 0 -1|LINDEX l 0
LSET l 0 x|LINSERT l BEFORE x y|LREM l 0 y|LTRIM l 0 9|LPOS l x|LMOVE l m LEFT RIGHT|RPOPLPUSH l m
LMPOP 2 none m LEFT|LMPOP 1 none LEFT|RPUSH o 3 1 2|SORT o|SORT_RO o DESC LIMIT 0 2|SORT o BY nosort STORE o
SORT o BY w* GET # GET h*->f
XADD q 1-1 f v|XADD q NOMKSTREAM MAXLEN 9 2-1 f v g w|XLEN q|XRANGE q - +|XREVRANGE q + - COUNT 1
XREAD STREAMS q 1|XREAD STREAMS q 9|XGROUP CREATE q g 0|XREADGROUP GROUP g c COUNT 1 STREAMS q >
XPENDING q g|XPENDING q g - + 9|XCLAIM q g d 0 1-1|XAUTOCLAIM q g e 0 0 JUSTID|XACK q g 1-1|XPENDING q g
XINFO STREAM q|XINFO GROUPS q|XDEL q 2-1|XTRIM q MAXLEN 0|XRANGE q - + COUNT 0|XSETID q 9|XADD q 1 f v
BLPOP none l 0|BRPOP l 0|BRPOP none 0|BLMOVE l m LEFT LEFT 0|BLMOVE none m LEFT LEFT 0|BRPOPLPUSH l m 0
BLMPOP 0 2 none m LEFT|BLMPOP 0 1 none LEFT
ZADD z 1 a 2.5 b|ZADD z INCR 1 a|ZADD z NX INCR 1 a|ZADD z inf c|ZINCRBY z 0.25 a|ZADD y 0 a 0 b 0 c|ZREM z x
ZSCORE z a|ZSCORE z x|ZMSCORE z a x|ZCARD z|ZCOUNT z 1 (9|ZLEXCOUNT y - +|ZRANK z b|ZREVRANK z b WITHSCORE
ZRANK z x|ZRANK z x WITHSCORE|ZRANGE z 0 -1 WITHSCORES|ZREVRANGE z 0 0|ZRANGEBYSCORE z 1 9 WITHSCORES
ZREVRANGEBYSCORE z 9 1|ZRANGEBYLEX y [b +|ZREVRANGEBYLEX y + [b|ZRANGESTORE x z 0 -1|ZUNION 2 y z WITHSCORES
ZUNIONSTORE x 2 y z|ZINTER 2 y z|ZINTERSTORE x 2 y z|ZINTERCARD 2 y z|ZDIFF 2 y z|ZDIFFSTORE x 2 y z
ZREMRANGEBYRANK x 0 0|ZREMRANGEBYSCORE y 1 2|ZREMRANGEBYLEX y [c [c|ZRANDMEMBER z|ZRANDMEMBER z 9 WITHSCORES
ZSCAN z 0|ZPOPMIN z|ZPOPMAX z 1|ZMPOP 2 x y MAX|ZMPOP 1 none MIN
BZPOPMIN none y 0|BZPOPMAX none y 0|BZMPOP 0 1 none MIN|ZADD y 1 a|BZMPOP 0 2 none y MAX
GEOADD geo 13.3 38.1 a 15 37.5 b|GEOPOS geo a x|GEOHASH geo a x|GEODIST geo a b km|GEODIST geo a x
GEOSEARCH geo FROMMEMBER a BYRADIUS 200 km ASC WITHDIST WITHCOORD|GEORADIUS geo 15 37 200 km
GEORADIUS_RO geo 15 37 9 km|GEOSEARCHSTORE geo2 geo FROMLONLAT 15 37 BYBOX 9 9 km
GEORADIUSBYMEMBER geo a 9 km STORE geo2|GEORADIUSBYMEMBER_RO geo a 9 km
HRANDFIELD h|HRANDFIELD h 2|HRANDFIELD h 2 WITHVALUES|HSCAN h 0|EXISTS s h|TOUCH s|TYPE s|TYPE h|COPY s s4
RENAME s4 s5|RENAMENX s5 s6|MOVE s6 1|SCAN 0|KEYS *|RANDOMKEY|OBJECT ENCODING s|OBJECT ENCODING h
MEMORY USAGE s|DUMP s|RESTORE r 0 x|EXPIRE s 9|PEXPIRE s 9|EXPIREAT s 9999999999|PEXPIREAT s 9999999999999
TTL s|PTTL s|EXPIRETIME s|PEXPIRETIME s|PERSIST s|DEL s2|UNLINK s3|GETDEL s|DBSIZE|SWAPDB 0 1|FLUSHDB|FLUSHALL
PUBLISH c m|SPUBLISH c m
"""


class CallTests(ScriptCase):
    def calls(self) -> list[tuple[bytes, ...]]:
        return [tuple(call.encode().split()) for call in CALLS.strip().replace("\n", "|").split("|")]

    def test_every_command_of_the_table(self) -> None:
        """A script has the reply that a client has."""
        called = {call[0] for call in self.calls()}
        self.assertEqual({name for name in COMMANDS if name[:1] != b"\0"} - NOSCRIPT - called, set())
        other = ScriptCase()
        other.setUp()
        for call in self.calls():
            reply = self.ask(b"EVAL", b"return redis.pcall(unpack(ARGV))", b"0", *call)
            wanted = other.ask(*call)
            if b"RAND" in call[0]:
                self.assertIs(type(reply), type(wanted), call)
            else:
                self.assertEqual(reply, wanted, call)


class UndeclaredTests(ScriptCase):
    def test_it_becomes_a_barrier(self) -> None:
        self.assertEqual(self.ask(b"EVAL", OTHER, b"1", b"k", b"x"), "OK")
        self.assertEqual([barrier for barrier, _, _ in self.log], [False, False, True])
        self.assertEqual(self.ask(b"GET", b"x"), b"2")
        self.ask(b"EVAL", OTHER, b"1", b"k", b"x")
        self.assertEqual([barrier for barrier, _, _ in self.log][-1:], [True])
        self.again()
        self.log.clear()
        self.ask(b"EVALSHA", sha_of(OTHER), b"1", b"k", b"x")
        self.ask(b"EVAL", OTHER, b"1", b"k", b"x")
        self.assertEqual([barrier for barrier, _, _ in self.log], [True, True], "after a restart, too")

    def test_without_the_second_run_nothing_has_changed(self) -> None:
        batch = self.store.batch([[b"EVAL", OTHER, b"1", b"k", b"x"]])
        (reply,) = self.store.apply([Ready(ID, batch, True)])[0]
        self.assertIsInstance(reply, RunAgain)
        self.assertEqual((self.ask(b"GET", b"k"), self.ask(b"GET", b"x")), (None, None))

    def test_refused(self) -> None:
        self.store = store_of(refuses_undeclared=True)
        for _ in range(2):
            reply = self.ask(b"EVAL", OTHER, b"1", b"k", b"x")
            self.assertEqual(reply, "ERR Script attempted to access a key that it did not declare")
        self.assertEqual(self.ask(b"DBSIZE"), 0)

    def test_who_refuses_comes_to_the_same_state(self) -> None:
        refusing, other = store_of(refuses_undeclared=True), store_of()
        exec_ = transaction(
            Transaction(None, (), [(0, [b"INCR", b"n"]), (0, [b"EVAL", OTHER, b"1", b"k", b"x"])])
        )
        for leader, replies in ((refusing, [1, "ERR Script attempted to access"]), (other, [2, "OK"])):
            batches = [leader.batch([exec_])]
            (reply,) = leader.apply([Ready(ID, batches[0], True)])[0]
            if isinstance(reply, RunAgain):
                batches.append(leader.batch([reply.first, exec_]))
                ((_, reply),) = leader.apply([Ready(ID, batches[1], True)])
            self.assertEqual([str(each)[:30] for each in reply], list(map(str, replies)))  # type: ignore[union-attr]
            for store in (refusing, other):
                if store is not leader:
                    store.apply([Ready(ID, batch, True) for batch in batches])
            self.assertEqual(dict(refusing.entries()), dict(other.entries()))

    def test_what_else_makes_a_barrier(self) -> None:
        for text in (
            b"return redis.call('dbsize')",
            b"redis.call('select', 1) return redis.call('set', KEYS[1], 1)",
            b"return redis.call('mget', KEYS[1], 'y')",
        ):
            self.log.clear()
            self.ask(b"EVAL", text, b"1", b"k")
            self.assertTrue(self.log[-1][0], text)

    def test_in_a_transaction_all_of_it_runs_again(self) -> None:
        exec_ = transaction(
            Transaction(None, (), [(0, [b"INCR", b"n"]), (0, [b"EVAL", OTHER, b"1", b"k", b"x"])])
        )
        self.assertEqual(self.propose(exec_), [1, "OK"])
        self.assertEqual((self.ask(b"GET", b"n"), self.ask(b"GET", b"x")), (b"1", b"2"))

    def test_in_another_database(self) -> None:
        command = in_database(3, [b"EVAL", INCR, b"1", b"k"])
        self.assertEqual(self.propose(command), 1)
        self.assertFalse(self.log[-1][0])
        self.assertIsNone(self.ask(b"GET", b"k"))
        self.assertEqual(self.propose(in_database(3, [b"EVAL", OTHER, b"1", b"k", b"x"])), "OK")
        self.assertTrue(self.log[-1][0])


class TableTests(ScriptCase):
    def test_it_is_in_the_state(self) -> None:
        sha = self.ask(b"SCRIPT", b"LOAD", INCR)
        self.assertEqual(sha, sha_of(INCR))
        self.again()
        self.assertEqual(self.ask(b"SCRIPT", b"EXISTS", sha_of(INCR), b"0" * 40), [1, 0])
        self.assertEqual(self.ask(b"EVALSHA", sha_of(INCR).upper(), b"1", b"k"), 1)
        self.assertEqual(self.log[-1], (False, (b"k",), (SCRIPTS_NAME,)))

    def test_flush(self) -> None:
        self.ask(b"EVAL", INCR, b"1", b"k")
        known = self.store.batch([[b"EVAL", INCR, b"1", b"k"]])
        self.assertEqual(self.ask(b"SCRIPT", b"FLUSH", b"ASYNC"), "OK")
        no_script = "NOSCRIPT No matching script. Please use EVAL."
        self.assertEqual(self.ask(b"EVALSHA", sha_of(INCR), b"1", b"k"), no_script)
        (reply,) = self.store.apply([Ready(ID, known, True)])[0]
        self.assertIsInstance(reply, RunAgain, "proposed before, executed after: the text goes with it again")
        self.assertEqual(self.ask(b"EVAL", INCR, b"1", b"k"), 2)

    def test_a_transaction_that_runs_again_has_its_scripts_back(self) -> None:
        self.ask(b"SCRIPT", b"LOAD", INCR)
        exec_ = transaction(
            Transaction(
                None,
                (),
                [
                    (0, [b"EVALSHA", sha_of(INCR), b"1", b"n"]),
                    (0, [b"SCRIPT", b"FLUSH"]),
                    (0, [b"SCRIPT", b"LOAD", b"return 5"]),
                    (0, [b"EVAL", b"return redis.call('get', 'x')", b"0"]),
                ],
            )
        )
        batch = self.store.batch([exec_])
        (reply,) = self.store.apply([Ready(ID, batch, True)])[0]
        self.assertIsInstance(reply, RunAgain)
        self.assertEqual(self.ask(b"SCRIPT", b"EXISTS", sha_of(INCR), sha_of(b"return 5")), [1, 0])
        self.assertEqual(self.propose(exec_), [1, "OK", sha_of(b"return 5"), None])
        self.assertEqual(self.ask(b"SCRIPT", b"EXISTS", sha_of(INCR), sha_of(b"return 5")), [0, 1])

    def test_long_texts_are_not_cached(self) -> None:
        for text in (b"-" * 4096, b"-" * 100_000):
            self.assertEqual(sha_of(text), sha1(text).hexdigest().encode())
        before = _short_sha.cache_info().currsize
        sha_of(b"-" * 100_001)
        self.assertEqual(_short_sha.cache_info().currsize, before)

    def test_a_full_table(self) -> None:
        table = ScriptTable()
        big = b"-" * 200_000
        count = 0
        while table.add(big + b"%d" % count):
            count += 1
        self.assertLess(count * len(big), 16 * 1024 * 1024 + 1)
        self.assertEqual(len(table.texts), count)
        table.clear()
        self.assertTrue(table.add(big))

    def test_subcommands(self) -> None:
        for words, reply in (
            ((b"KILL",), "NOTBUSY No scripts in execution right now."),
            ((b"NOPE",), "ERR unknown subcommand 'NOPE'. Try SCRIPT HELP."),
            ((b"LOAD",), "ERR wrong number of arguments for 'script|load' command"),
            ((b"EXISTS",), "ERR wrong number of arguments for 'script|exists' command"),
            ((b"FLUSH", b"x"), "ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
            (
                (b"LOAD", b"x y"),
                "ERR Error compiling script (new function): user_script:1: '=' expected near 'y'",
            ),
        ):
            self.assertEqual(self.ask(b"SCRIPT", *words), reply)
