"""What the store says beside its replies: messages, and events of keys, beside those of redis-server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.interfaces import Ready
from epaxos.interfaces.audience import IAudience, IPublishes, Message
from epaxos.interfaces.memory import CONFIGURE
from epaxos.protocol.values.ids import InstanceId
from epaxos.statemachines.redis.commands import COMMANDS as TABLE
from epaxos.statemachines.redis.event_classes import classes_of, text_of_classes
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.shared_settings import EVENTS
from epaxos.statemachines.steps import replies_of
from tests.resp.reference import RealRedis

ID = InstanceId(0, 1)
PUBLISHES_AND_FAILS = b"redis.call('PUBLISH', KEYS[1], 'm') error('no')"
CHANNEL = b"channel"


@implementer(IAudience)
class Audience:
    """Hears everything; each channel has this number of receivers."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.heard: list[Message] = []

    @property
    def is_empty(self) -> bool:
        return not self.count

    def receivers(self, channel: bytes, is_sharded: bool = False) -> int:
        return self.count

    def tell(self, messages: Sequence[Message]) -> None:
        self.heard += messages


class Time:
    """A cluster clock."""

    is_trusted = True
    ms = 0

    def now_ms(self) -> int:
        return self.ms or int(time.time() * 1000)


class PublishCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = KeyValueStore(elements_per_step=3)
        self.clock = Time()
        self.store.use_clock(self.clock, lambda: 0)  # type: ignore[arg-type]
        self.audience = Audience(2)
        IPublishes(self.store).use_audience(self.audience)

    def ask(self, *commands: str | Sequence[bytes], kept: bool = False) -> Any:
        made = [command.encode().split() if isinstance(command, str) else command for command in commands]
        batch = self.store.batch(made)
        return replies_of(self.store.apply_in_steps(Ready(ID, batch, True, kept)))

    def heard(self) -> list[tuple[bytes, bytes]]:
        heard, self.audience.heard = self.audience.heard, []
        return [(message.channel, message.text) for message in heard]


class MessageTests(PublishCase):
    def test_who_sends_it_alone_is_told_how_many_heard_it(self) -> None:
        self.assertEqual(self.ask("PUBLISH c x", "PUBLISH d y"), [2, 2])
        self.assertEqual(self.audience.heard, [Message(b"c", b"x"), Message(b"d", b"y")])
        self.heard()
        self.assertEqual(self.ask("SET k v", "publish c x", "SPUBLISH c z"), ["OK", 2, 2])
        self.assertEqual(self.audience.heard, [Message(b"c", b"x"), Message(b"c", b"z", True)])

    def test_what_may_become_a_part_of_the_state_is_the_same_everywhere(self) -> None:
        self.assertEqual(self.ask("PUBLISH c x", kept=True), [0])
        self.assertEqual(self.ask("PUBLISH c x", "GET k", kept=True), [0, None])
        queued = [b"\0EXEC", b"0", b"", b"0", b"0", b"3", b"PUBLISH", b"c", b"x"]
        self.assertEqual(self.ask(queued), [[0]])
        self.assertEqual(self.ask([b"\0IN", b"1", b"PUBLISH", b"c", b"x"]), [0])
        script = [b"EVAL", b"return redis.call('PUBLISH', KEYS[1], 'x')", b"1", b"c"]
        self.assertEqual(self.ask(script), [0])
        self.assertEqual(self.heard(), [(b"c", b"x")] * 5)

    def test_the_name_of_the_channel_is_written(self) -> None:
        """So one order holds for it, wherever it is published."""
        self.assertEqual(self.store.batch([[b"PUBLISH", b"c", b"x"]]).writes, (b"c",))
        self.assertEqual(self.store.batch([[b"SPUBLISH", b"c", b"x"]]).writes, (b"c",))
        for database in (b"0", b"1"):
            queued = [b"\0EXEC", b"0", b"", b"0", database, b"3", b"PUBLISH", b"c", b"x"]
            self.assertIn(b"c", self.store.batch([queued]).writes)
        script = [b"\0IN", b"1", b"EVAL", b"redis.call('PUBLISH', KEYS[1], 'x')", b"1", b"c"]
        self.assertIn(b"c", self.store.batch([script]).writes)

    def test_a_script_that_publishes_elsewhere_is_a_barrier(self) -> None:
        (again,) = self.ask([b"EVAL", b"redis.call('PUBLISH', 'other', 'x')", b"1", b"c"])
        self.assertEqual((again.first[0], self.heard()), (b"\0UNDECLARED", []))

    def test_what_is_taken_back_is_not_heard(self) -> None:
        self.ask([b"EVAL", PUBLISHES_AND_FAILS, b"1", b"c"])
        self.assertEqual(self.heard(), [])

    def test_it_is_no_state(self) -> None:
        """Neither a replica that starts again, nor one that runs it again for its reply, says it again."""
        before = dict(self.store.entries())
        commands = [[b"PUBLISH", b"c", b"x"], [b"SET", b"k", b"v"]]
        mixed, alone = self.store.batch(commands), self.store.batch(commands[:1])
        self.ask("PUBLISH c x")
        self.assertEqual((dict(self.store.entries()), len(self.heard())), (before, 1))
        self.store.restore({}, [Ready(ID, mixed, False), Ready(ID, alone, False)])
        self.assertEqual(self.store.replay(Ready(ID, mixed, True, True)), [0, "OK"])
        self.assertEqual((self.heard(), self.ask("GET k")), ([], [b"v"]))
        self.ask("PUBLISH c x")
        self.assertEqual(len(self.heard()), 1, "and then it says what is new")

    def test_nobody_listens(self) -> None:
        self.audience.count = 0
        self.assertEqual(self.ask("PUBLISH c x", "PUBLISH d y"), [0, 0])
        self.assertEqual(self.ask("PUBLISH c x", "GET y"), [0, None])
        self.assertEqual(self.heard(), [])


class SettingTests(PublishCase):
    def configure(self, text: bytes) -> Any:
        return self.ask([CONFIGURE, EVENTS, text])[0]

    def test_as_redis_shows_it(self) -> None:
        with RealRedis() as real:
            client = real.connect()
            for text in ("KEA", "AKE", "g$lshzxetd", "Kg", "Em", "Kx", "Kn", "KElshzxe", "n", "q", "KEAq"):
                client.send(b"CONFIG SET notify-keyspace-events %b\r\n" % text.encode())
                wanted = client.send(b"CONFIG GET notify-keyspace-events\r\n").split(b"\r\n")[4].decode()
                self.configure(text.encode())
                self.assertEqual(self.store._state.settings.values[EVENTS].decode(), wanted, text)
            client.close()

    def test_no_letter_is_lost(self) -> None:
        for text in (b"KEAnm", b"An", b"KEg$lshzxetdnm"):
            self.assertEqual(classes_of(text_of_classes(classes_of(text))), classes_of(text))

    def test_an_error_changes_nothing(self) -> None:
        self.configure(b"KEA")
        self.assertEqual(
            str(self.configure(b"Kq")),
            "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event"
            " class character. Use 'Ag$lshzxeKEtmdn'.",
        )
        self.assertEqual(self.store._state.settings.values[EVENTS].decode(), "AKE")

    def test_it_is_state(self) -> None:
        self.configure(b"Kg")
        other = KeyValueStore()
        IPublishes(other).use_audience(self.audience)
        other.restore(dict(self.store.entries()), [])
        self.assertEqual(dict(other.entries()), dict(self.store.entries()))
        other.apply([Ready(ID, other.batch([[b"SET", b"k", b"v"], [b"DEL", b"k"]]), False)])
        self.assertEqual(self.heard(), [(b"__keyspace@0__:k", b"del")])


COMMANDS = """
SET k v|SET k v NX|SET k v XX GET|SET n v XX|SET k v EX 100|SET k v KEEPTTL|SETEX k 9 v|PSETEX k 999 v
SETNX k v|SETNX new v|GETSET k w|GETDEL k|GETDEL k|GETEX k|SET k 1 EX 9|GETEX k PERSIST|GETEX k EX 8
GETEX k EXAT 1|INCR n|DECR n|INCRBY n 5|DECRBY n 2|INCRBYFLOAT n 1.5|APPEND a b|SETRANGE a 2 x
SETRANGE z 3 y|MSET a 1 b 2|MSETNX a 1 c 2|MSETNX c 1 d 2|DEL a b nope a|UNLINK c d|EXPIRE n 100
EXPIRE n 50 GT|PERSIST n|PERSIST n|EXPIRE n -1|PEXPIREAT nope 1|SET k v|RENAME k l|RENAME l l
RENAME nope l|RENAMENX l m|SET q 1|RENAMENX m q|RENAME m q|COPY q r|COPY q r|COPY q r REPLACE
COPY q s DB 3|MOVE q 4|MOVE r 0|HSET h f v|HSET h f v|HMSET h f w g x|HSETNX h f v|HSETNX h i v
HINCRBY h n 1|HINCRBYFLOAT h n 1.5|HDEL h f nope|HDEL h nope|HDEL h g i n|HDEL h g|HGET h f|SET h v
HSET h f v|INCR h|FLUSHDB|SET k v|SWAPDB 0 1|FLUSHALL|TOUCH k|GET k|FLUSHALL|LPUSH l a b|RPUSH l c d
LPUSHX l x|RPUSHX nope x|LINSERT l BEFORE a y|LSET l 0 z|LREM l 0 a|LTRIM l 0 3|LPOP l|RPOP l 2|LPOP l 9
LPOP l|RPUSH l a b c|LMOVE l m LEFT RIGHT|LMOVE l l LEFT RIGHT|RPOPLPUSH l m|RPOPLPUSH l m
LMPOP 2 nope m RIGHT COUNT 2|LMPOP 1 m LEFT|RPUSH right 1 2|LMPOP 2 nope right LEFT|BLMPOP 0 1 right LEFT
RPUSH l 3 1 2|SORT l STORE s|SORT nope STORE s|BLPOP l 0|BRPOP l 0|BLMOVE l k LEFT LEFT 0|BLPOP k 0
SADD s a b c|SADD s a|SADD t b|SREM s nope|SREM s c|SMOVE s t a|SMOVE s t b|SINTERSTORE d t t
SINTERSTORE d t nope|SUNIONSTORE d t|SDIFFSTORE d t t|SPOP t 9|SREM t b|ZADD z 1 a 2 b|ZADD z XX 5 nope
ZADD z 1 a|ZADD z INCR 2 a|ZINCRBY z 1 c|ZADD z 7 e 8 f 9 g|ZREM z c|ZPOPMIN z|ZPOPMAX z|ZMPOP 1 z MIN
ZADD z 1 a 2 b 3 c 4 d|ZREMRANGEBYRANK z 0 0|ZREMRANGEBYSCORE z 2 2|ZREMRANGEBYLEX z [c [c
ZRANGESTORE w z 0 -1|ZRANGESTORE w nope 0 -1|ZUNIONSTORE w 1 z|ZINTERSTORE w 2 z nope|ZDIFFSTORE w 1 z
BZPOPMIN z 0|BZPOPMAX z 0|DEL w z|GEOADD g 13.3 38.1 p|GEOSEARCHSTORE h g FROMMEMBER p BYRADIUS 1 km
SETBIT i 7 1|SETBIT i 7 1|BITOP OR o i|BITOP OR o nope|BITFIELD i SET u8 0 5|BITFIELD i GET u8 0
PFADD q a|PFADD q a|PFMERGE r q|XADD x 1-1 f v|XADD x 2-1 f v|XADD x 3-1 f v|XTRIM x MAXLEN 0
XADD x 4-1 f v|XDEL x 4-1|XDEL x 4-1|XSETID x 9-1|XGROUP CREATE x g $|XGROUP CREATECONSUMER x g c
XGROUP CREATECONSUMER x g c|XGROUP SETID x g 0|XGROUP DELCONSUMER x g c|XADD x 10-1 f v
XGROUP DESTROY x g
"""


SERVED = [
    each for each in COMMANDS.strip().replace("\n", "|").split("|") if each.split()[0].encode() in TABLE
]
"""Types that do not exist yet have no commands."""


class EventTests(PublishCase):
    """Beside redis-server: the same events, in the same order."""

    def setUp(self) -> None:
        super().setUp()
        self.real = RealRedis()
        self.real.__enter__()
        self.addCleanup(self.real.__exit__, None, None, None)
        self.theirs = self.real.connect()
        self.listener = self.real.connect()
        self.addCleanup(self.theirs.close)
        self.addCleanup(self.listener.close)

    def begin(self, text: bytes) -> None:
        self.ask([CONFIGURE, EVENTS, text])
        self.theirs.send(b"CONFIG SET notify-keyspace-events %b\r\n" % text)
        self.listener.send(b"PSUBSCRIBE __key*__:*\r\n")

    def told_by_redis(self) -> list[tuple[bytes, bytes]]:
        self.theirs.send(b"PUBLISH __key__:end end\r\n")
        data = b""
        while b"end\r\n$3\r\nend\r\n" not in data:
            data += self.listener.send(b"")
        words = data.split(b"\r\n")
        found = [(words[start + 6], words[start + 8]) for start in range(0, len(words) - 1, 9)]
        return found[:-1]

    def compare(self, commands: Sequence[str], as_one: bool) -> None:
        if as_one:
            queued = [word for command in commands for word in _queued(command)]
            self.ask([b"\0EXEC", b"0", b"", b"0", *queued])
            self.theirs.send(b"".join([b"%b\r\n" % each.encode() for each in ("MULTI", *commands, "EXEC")]))
        for command in () if as_one else commands:
            self.ask(command)
            self.theirs.send(b"%b\r\n" % command.encode())
        self.assertEqual(self.heard(), self.told_by_redis(), commands)

    def test_one_by_one(self) -> None:
        self.begin(b"KEA")
        for command in SERVED:
            self.compare([command], as_one=False)

    def test_new_keys(self) -> None:
        self.begin(b"Kng")
        for command in ("SET k v", "SET k w", "HSET h f v", "HSET h g v", "DEL k h", "SET k v", "RENAME k l"):
            self.compare([command], as_one=False)

    def test_random_sequences(self) -> None:
        random = Random(5)
        commands = [
            each
            for each in SERVED
            if not each.startswith(("COPY q s", "MOVE", "SWAPDB", "FLUSHALL", "SPOP", "B"))
        ]
        self.begin(b"KEA")
        for number in range(60):
            self.compare(random.choices(commands, k=random.randrange(1, 6)), as_one=number % 2 == 0)

    def test_in_scripts(self) -> None:
        self.begin(b"KEA")
        for text in (
            "redis.call('SET', KEYS[1], 'v') redis.call('EXPIRE', KEYS[1], 100)",
            "redis.call('HSET', KEYS[1], 'f', 'v')",
            "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], 'f', 'v')"
            " redis.call('HDEL', KEYS[1], 'f')",
        ):
            self.ask([b"EVAL", text.encode(), b"1", b"k"])
            self.theirs.send(b'EVAL "%b" 1 k\r\n' % text.encode())
            self.assertEqual(self.heard(), self.told_by_redis(), text)

    def test_many_elements(self) -> None:
        """Commands that run in pieces."""
        self.begin(b"KEA")
        pairs = " ".join(f"k{number} v" for number in range(20))
        keys = " ".join(f"k{number}" for number in range(20))
        for command in (f"MSET {pairs}", f"DEL {keys}", f"HSET h {pairs}", f"HDEL h {keys}"):
            self.compare([command], as_one=False)

    def test_what_a_script_undoes_is_not_told(self) -> None:
        self.begin(b"KEA")
        self.ask([b"EVAL", b"redis.call('SET', KEYS[1], 'v') error('no')", b"1", b"k"])
        self.assertEqual((self.heard(), self.ask("GET k")), ([], [None]))


def _queued(command: str) -> list[bytes]:
    words = command.encode().split()
    return [b"0", b"%d" % len(words), *words]


class ExpiryTests(PublishCase):
    def test_the_end_of_a_key(self) -> None:
        """It is told where the key is removed: by a write, or by the removal of what is due."""

        self.clock.ms = 1_000
        self.ask([CONFIGURE, EVENTS, b"Exg$"])
        self.ask("SET a v PX 10", "SET b v PX 10")
        self.heard()
        self.clock.ms = 1_100
        self.ask("SET a w")
        self.assertEqual(self.heard(), [(b"__keyevent@0__:expired", b"a"), (b"__keyevent@0__:set", b"a")])
        self.clock.ms = 60_000
        self.assertTrue(self.store.is_due())
        self.ask(*self.store.take_due())
        self.assertEqual(self.heard(), [(b"__keyevent@0__:expired", b"b")])


class CostTests(PublishCase):
    def test_nothing_is_recorded_without_the_setting(self) -> None:
        self.ask("SET k v", "HSET h f v")
        self.assertEqual(self.store._state.telling.changes, [])
        self.ask([CONFIGURE, EVENTS, b"KEA"])
        self.audience.count = 0
        self.ask("SET k v", "DEL h")
        self.assertEqual((self.store._state.telling.changes, self.store._state.is_watched), ([], False))
