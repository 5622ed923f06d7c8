"""COMMAND: what it tells of each command is what a real redis-server 7.0.15 tells."""

from __future__ import annotations

from time import time
from typing import Any

import hiredis
from twisted.trial.unittest import SynchronousTestCase

from tests.resp.lab import Server, encode_raw
from tests.resp.reference import RealRedis
from tests.statemachines.redis.wall_clock import WallClock

OURS = {b"epaxos", b"sentinel"}
"""Commands of ours, and of a Sentinel, which a redis-server that is none does not have."""
NEWER = {b"client": {b"client|no-touch", b"client|setinfo"}}
"""Subcommands of a newer Redis."""
SCRIPTED = {b"blpop", b"brpop", b"blmove", b"brpoplpush", b"bzpopmin", b"bzpopmax"}
"""Commands that scripts may call, as those of a newer Redis may."""
LONGER = {b"zrank", b"zrevrank"}
"""Commands that take more words in a newer Redis: the arity is that."""
SAMPLES = """
APPEND k v|BITCOUNT k|BITFIELD k GET u8 0|BITFIELD_RO k GET u8 0|BITOP AND a b c|BITPOS k 1|GETBIT k 1
SETBIT k 1 1|COPY a b|COPY a b DB 1|DECR k|DECRBY k 1|DEL a b a|DUMP k|EXISTS a b
EXPIRE k 1|EXPIREAT k 1|EXPIRETIME k|EVAL s 2 a b c|EVAL s 2 a a|EVAL s 0 a|EVALSHA s 1 k x
EVAL_RO s 2 a b c|EVALSHA_RO s 1 k x|GET k|GETDEL k|GETEX k EX 1|GETRANGE k 0 1|GETSET k v
HDEL k f g|HEXISTS k f|HGET k f|HGETALL k|HINCRBY k f 1|HINCRBYFLOAT k f 1|HKEYS k|HLEN k
HMGET k f g|HMSET k f v|HRANDFIELD k 1|HSCAN k 0|HSET k f v g w|HSETNX k f v|HSTRLEN k f|HVALS k
INCR k|INCRBY k 1|INCRBYFLOAT k 1|KEYS *|LCS a b|LINDEX k 0|LINSERT k BEFORE a b|LLEN k|LPOP k 2
LMOVE a b LEFT RIGHT|LMPOP 1 a LEFT|LMPOP 3 a b a RIGHT COUNT 2|LMPOP 1 LEFT LEFT|LPOS k v|LPUSH k v w
LPUSHX k v|LRANGE k 0 1|LREM k 0 v|LSET k 0 v|LTRIM k 0 1|RPOP k|RPOPLPUSH a b|RPUSH k v|RPUSHX k v
SORT_RO k BY nosort GET #|SORT k BY w* GET # STORE a STORE b|SORT k LIMIT 0 1 GET STORE
MEMORY USAGE k|MGET a b a|MOVE k 1|MSET a 1 b 2 a 3
MSETNX a 1 b 2|OBJECT ENCODING k|OBJECT FREQ k|PERSIST k|PEXPIRE k 1|PEXPIREAT k 1|PEXPIRETIME k
PFADD k a|PFCOUNT a b|PFMERGE a b c
PSETEX k 1 v|PTTL k|RANDOMKEY|RENAME a b|RENAMENX a b|RESTORE k 0 x|SCAN 0|SET k v|SET k v EX 1
SADD k m n|SCARD k|SDIFF a b|SDIFFSTORE a b c|SINTER a b|SINTERCARD 2 a b LIMIT 1|SINTERSTORE a b c
SISMEMBER k m|SMISMEMBER k m|SMEMBERS k|SMOVE a b m|SPOP k 1|SRANDMEMBER k|SREM k m|SSCAN k 0|SUNION a b
SUNIONSTORE a b c|SETEX k 1 v|SETNX k v|SETRANGE k 0 v|STRLEN k|SUBSTR k 0 1|SWAPDB 0 1|TOUCH a b|TTL k|TYPE k
LPUSH k v|RPUSH k v|LPUSHX k v|RPUSHX k v|LPOP k|RPOP k 2|LLEN k|LRANGE k 0 1|LINDEX k 0|LSET k 0 v
LINSERT k BEFORE a b|LREM k 0 v|LTRIM k 0 1|LPOS k v|LMOVE a b LEFT RIGHT|RPOPLPUSH a b|LMPOP 2 a b LEFT
ZADD k NX 1 m|ZINCRBY k 1 m|ZREM k m n|ZSCORE k m|ZMSCORE k m n|ZCARD k|ZCOUNT k 0 1|ZLEXCOUNT k - +|ZRANK k m
ZREVRANK k m|ZRANGE k 0 1|ZREVRANGE k 0 1|ZRANGEBYSCORE k 0 1|ZREVRANGEBYSCORE k 1 0|ZRANGEBYLEX k - +
ZREVRANGEBYLEX k + -|ZRANGESTORE a b 0 1|ZREMRANGEBYRANK k 0 1|ZREMRANGEBYSCORE k 0 1|ZREMRANGEBYLEX k - +
ZPOPMIN k|ZPOPMAX k 2|ZMPOP 2 a b MIN COUNT 2|ZUNION 2 a b WITHSCORES|ZUNIONSTORE d 2 a b WEIGHTS 1 2
ZINTER 2 a b|ZINTERSTORE d 2 a b AGGREGATE MIN|ZINTERCARD 2 a b LIMIT 1|ZDIFF 2 a b|ZDIFFSTORE d 2 a b
ZRANDMEMBER k 1|ZSCAN k 0
GEOADD k 1 2 m|GEOPOS k m|GEOHASH k m|GEODIST k a b|GEOSEARCH k FROMMEMBER m BYRADIUS 1 km
GEOSEARCHSTORE d k FROMMEMBER m BYRADIUS 1 km|GEORADIUS k 1 2 3 km STORE d|GEORADIUS_RO k 1 2 3 km
GEORADIUSBYMEMBER k m 3 km|GEORADIUSBYMEMBER_RO k m 3 km
XADD k * f v|XADD k MAXLEN 1 * f v|XLEN k|XRANGE k - +|XREVRANGE k + -|XDEL k 1|XTRIM k MAXLEN 1|XSETID k 1
XREAD STREAMS a b 0 0|XREAD COUNT 1 BLOCK 0 STREAMS a $|XREADGROUP GROUP g c STREAMS a b > >|XACK k g 1
XREADGROUP GROUP g c COUNT 1 NOACK STREAMS k >|XGROUP CREATE k g 0|XGROUP DELCONSUMER k g c|XPENDING k g
XCLAIM k g c 0 1|XAUTOCLAIM k g c 0 0|XINFO STREAM k|XINFO GROUPS k|XINFO CONSUMERS k g
UNLINK a b|WAIT 0 0|DBSIZE|FLUSHALL|FLUSHDB|TIME|SORT k|SORT k STORE d|LOLWUT|AUTH x|CLIENT ID
CLUSTER SLOTS|COMMAND COUNT|CONFIG GET x|ECHO x|HELLO 3|INFO server|PING x|QUIT|RESET|SELECT 1
READONLY|READWRITE|ASKING|ROLE|SUBSCRIBE a|PSUBSCRIBE a|UNSUBSCRIBE a|PUNSUBSCRIBE a|MULTI|EXEC
BLPOP a b 0|BRPOP a 0|BLMOVE a b LEFT LEFT 0|BRPOPLPUSH a b 0|BLMPOP 0 2 a b LEFT|BZPOPMIN a b 0
BZPOPMAX a 0|BZMPOP 0 2 a b MIN COUNT 2
XADD k * f v|XLEN k|XRANGE k - +|XREVRANGE k + -|XDEL k 1-1|XTRIM k MAXLEN 1|XSETID k 1-1
XREAD COUNT 1 STREAMS a b 0 0|XREADGROUP GROUP g c STREAMS a b > >|XGROUP CREATE k g $|XINFO STREAM k
SLOWLOG GET|LATENCY LATEST|XACK k g 1-1|XPENDING k g|XCLAIM k g c 0 1-1|XAUTOCLAIM k g c 0 0
ACL WHOAMI|DISCARD|WATCH a b|UNWATCH|SCRIPT LOAD x|DEBUG SLEEP 0
publish c m|spublish|ssubscribe|sunsubscribe|pubsub channels|monitor
"""
"""Calls of commands, as they are served or will be: GETKEYS of each that is served is compared."""


class CommandCase(SynchronousTestCase):
    def setUp(self) -> None:
        server = self.server = Server()
        server.replica.store.use_clock(WallClock(time), lambda: 1)  # what needs the time is refused without
        self.connection, self.wire = server.connect()

    def ask(self, *command: bytes, resp: int = 2) -> Any:
        self.connection.session.resp = resp
        self.wire.clear()
        self.connection.dataReceived(encode_raw(*command))
        self.server.go_on()  # a long reply is written in steps
        return read(self.wire.value())


def read(data: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(data)
    return reader.gets()


class RealTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.real = RealRedis()
        self.addCleanup(self.real.close)
        self.theirs = self.real.connect()
        self.addCleanup(self.theirs.close)
        self.names: list[bytes] = [name for name in self.ask(b"COMMAND", b"LIST") if name not in OURS]

    def ask_real(self, *command: bytes) -> Any:
        return read(self.theirs.send(encode_raw(*command)))

    def test_entries(self) -> None:
        ours, theirs = (ask(b"COMMAND", b"INFO", *self.names) for ask in (self.ask, self.ask_real))
        for mine, real in zip(ours, theirs):
            name = mine[0]
            self.assertIsNotNone(real, name)
            self.assertEqual(len(mine), len(real))
            self.assertEqual([mine[0], *mine[3:6]], [real[0], *real[3:6]], name)
            self.assertEqual(mine[1], -real[1] if name in LONGER else real[1], name)
            newer = {b"noscript"} if name in SCRIPTED else set()
            self.assertEqual(set(mine[2]), set(real[2]) - newer, name)
            self.assertEqual(set(mine[6]), set(real[6]), name)
            self.check_subcommands(name, mine[9], {entry[0]: entry for entry in real[9]})

    def check_subcommands(self, name: bytes, ours: list[Any], theirs: dict[bytes, Any]) -> None:
        for mine in ours:
            real = theirs.get(mine[0])
            if mine[0] in NEWER.get(name, ()) and real is None:
                continue
            self.assertIsNotNone(real, mine[0])
            if name != b"cluster":  # of which many are refused whatever follows
                self.assertEqual(mine[1], real[1], mine[0])
                self.assertEqual(set(mine[2]), set(real[2]), mine[0])
                self.assertEqual(set(mine[6]), set(real[6]), mine[0])

    def test_keys(self) -> None:
        samples = [
            sample.encode().split() for sample in SAMPLES.replace("\n", "|").split("|") if sample.strip()
        ]
        sampled = {words[0].lower() for words in samples}
        self.assertEqual(set(self.names) - sampled, set(), "a sample for each command")
        for words in samples:
            if words[0].lower() in self.names and len(words) > 1:
                mine, real = (ask(b"COMMAND", b"GETKEYS", *words) for ask in (self.ask, self.ask_real))
                self.assertEqual(str(mine), str(real), words)

    def test_errors_of_keys(self) -> None:
        for words in ((b"nope", b"x"), (b"get", b"a", b"b"), (b"ping", b"x"), (b"get",), ()):
            mine, real = (ask(b"COMMAND", b"GETKEYS", *words) for ask in (self.ask, self.ask_real))
            self.assertEqual(str(mine), str(real), words)

    def test_categories(self) -> None:
        for category in (b"string", b"keyspace", b"connection", b"READ", b"write", b"fast", b"nope"):
            command = (b"COMMAND", b"LIST", b"FILTERBY", b"ACLCAT", category)
            theirs = {name for name in self.ask_real(*command) if name in self.names}
            ours = {name for name in self.ask(*command) if name not in OURS}
            self.assertEqual(ours, theirs, category)


class DocsTests(CommandCase):
    def test_every_command_has_a_sentence(self) -> None:
        names = self.ask(b"COMMAND", b"LIST")
        docs = self.ask(b"COMMAND", b"DOCS", resp=3)
        self.assertEqual(set(docs), set(names))
        for name, fields in docs.items():
            self.assertTrue(fields[b"summary"], name)
            for subcommand, inner in fields.get(b"subcommands", {}).items():
                self.assertTrue(subcommand.startswith(name + b"|"))
                self.assertTrue(inner[b"summary"], subcommand)

    def test_some(self) -> None:
        docs = self.ask(b"COMMAND", b"DOCS", b"GET", b"nope", resp=3)
        self.assertEqual(list(docs), [b"get"])
        self.assertEqual(docs[b"get"][b"group"], b"string")
        self.assertEqual(self.ask(b"COMMAND", b"DOCS", b"nope"), [])

    def test_groups(self) -> None:
        docs = self.ask(b"COMMAND", b"DOCS", resp=3)
        for name, group in ((b"del", b"generic"), (b"ping", b"connection"), (b"info", b"server")):
            self.assertEqual(docs[name][b"group"], group)
