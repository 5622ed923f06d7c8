"""The commands on streams: beside a real Redis and Valkey, by table, in steps, and after a transfer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.resp.reference import valkey
from tests.statemachines.redis.against_redis import Pair, commands_of

TEMPLATES = """
XADD k i f v
XADD k i f v
XADD k i f v f v
XADD k m f v
XADD k m f v
XADD k i f
XADD k NOMKSTREAM i f v
XADD k MAXLEN n m f v
XADD k MAXLEN o n m f v
XADD k i f v f
XADD k MINID i m f v
XADD k MINID o i m f v
XADD k MAXLEN o n LIMIT n m f v
XADD k LIMIT n i f v
XADD k MAXLEN n MINID i i f v
XADD k MAXLEN
XADD k NOMKSTREAM MAXLEN = 3 m f v
XLEN k
XRANGE k - + [COUNT n]
XRANGE k r r [COUNT n]
XREVRANGE k r r [COUNT n]
XREVRANGE k + -
XRANGE k r r COUNT
XRANGE k r r n
XDEL k i
XDEL k i i [i] [i]
XDEL k i i i i i i i i
XTRIM k MAXLEN [o] n [LIMIT n]
XTRIM k MINID [o] i [LIMIT n]
XTRIM k x 1
XTRIM k MAXLEN 100
XSETID k i [ENTRIESADDED n] [MAXDELETEDID i]
XSETID k i x
XSETID k i ENTRIESADDED
XREAD STREAMS k i
XREAD COUNT n STREAMS k k i i
XREAD STREAMS k $
XREAD STREAMS k k i
XREAD [COUNT n] [NOACK] STREAMS k >
XREAD GROUP g c STREAMS k i
XREAD x STREAMS k i
XREAD COUNT 1 STREAMS
XGROUP CREATE k g i [MKSTREAM] [ENTRIESREAD n]
XGROUP CREATE k g $ [MKSTREAM]
XGROUP CREATE k g 0 MKSTREAM
XGROUP CREATE k g i x
XGROUP CREATE k g
XGROUP SETID k g r [ENTRIESREAD n]
XGROUP SETID k g $
XGROUP DESTROY k g
XGROUP CREATECONSUMER k g c
XGROUP DELCONSUMER k g c
XGROUP NOPE k g
XGROUP DESTROY k g c
XGROUP SETID k g 0 MKSTREAM
XREADGROUP GROUP g c [COUNT n] [NOACK] STREAMS k >
XREADGROUP GROUP g c COUNT 2 STREAMS k >
XREADGROUP GROUP g c COUNT 1 STREAMS k >
XREADGROUP GROUP g c [COUNT n] STREAMS k k > >
XREADGROUP GROUP g c [COUNT n] STREAMS k i
XREADGROUP GROUP g c STREAMS k 0
XREADGROUP GROUP g c STREAMS k $
XREADGROUP GROUP g c STREAMS k k >
XREADGROUP COUNT 1 NOACK COUNT 1 STREAMS k >
XACK k g i
XACK k g i i i [i] [i]
XPENDING k g
XPENDING k g - + n [c]
XPENDING k g r r n [c]
XPENDING k g IDLE t - + n [c]
XPENDING k g -
XPENDING k g IDLE 1 - +
XPENDING k g - + 10 c c
XCLAIM k g c t i [i] [i] [JUSTID]
XCLAIM k g c t i i [IDLE t] [TIME t] [RETRYCOUNT n] [FORCE] [LASTID i]
XCLAIM k g c t i FORCE [JUSTID] [RETRYCOUNT n]
XCLAIM k g c t i x
XCLAIM k g c 0 i i i i
XAUTOCLAIM k g c t i [COUNT n] [JUSTID]
XAUTOCLAIM k g c t r
XAUTOCLAIM k g c 0 - COUNT 3
XAUTOCLAIM k g c 0 0 x
XINFO STREAM k
XINFO GROUPS k
XINFO CONSUMERS k g
XINFO STREAM k FULL [COUNT n]
XINFO STREAM k x
XINFO STREAM k FULL x
XINFO x k
XINFO GROUPS k x
DEL k
TYPE k
EXISTS k
GET k
SET s v
XADD s i f v
XLEN s
XREAD STREAMS k s 0 0
COPY k k REPLACE
XREADGROUP GROUP g c STREAMS k s > >
OBJECT ENCODING k
""".strip().splitlines()
WORDS: dict[str, Sequence[bytes]] = {
    "k": [b"x1", b"x2"],
    "s": [b"s1"],
    "f": [b"f%d" % number for number in range(3)] + [b"", b"\xff\xfe\xfd"],
    "v": [b"", b"1", b"-5", b"text", b"\xfe\xff", b"x" * 70],
    "g": [b"g1", b"g2"],
    "c": [b"alice", b"bob", b"c"],
    "n": [b"0", b"1", b"2", b"3", b"7", b"-1", b"-2", b"x", b"", b"1000"],
    "o": [b"~", b"="],
    "t": [b"0", b"0", b"0", b"1000000000", b"-1", b"x"],
    "i": [
        *(b"%d-%d" % (ms, sequence) for ms in range(1, 9) for sequence in range(3)),
        *(b"%d" % ms for ms in range(1, 9)),
        *(b"0", b"0-0", b"x", b"-", b"", b"1-", b"01-1", b" 2-1", b"1--1", b"18446744073709551616"),
    ],
    "m": [b"%d-%d" % (ms, sequence) for ms in range(1, 30) for sequence in range(2)]
    + [b"%d-*" % ms for ms in range(30)],
    "r": [b"-", b"+", b"(", b"(2-1", b"(5", b"3", b"4-1", b"7", b"(0", b"(-", b"(18446744073709551615"],
}


def masked(command: Sequence[bytes], reply: object) -> object:
    """Without what the moment decides, and in the words of Redis 7.2."""
    if reply == "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.":
        name = command[0].decode()
        symbol = "$" if name == "XREAD" else ">"
        return reply.replace("XREAD", f"'{name.lower()}'").replace("'$'", f"'{symbol}'")
    if not isinstance(reply, list):
        return reply
    if command[0] == b"XPENDING" and len(command) > 3:
        return [[row[0], row[1], row[2] > 10**8, row[3]] for row in reply]
    return hidden(reply) if command[0] == b"XINFO" else reply


def hidden(reply: list[object]) -> list[object]:
    found: list[object] = []
    name: object = None
    for item in reply:
        value = item
        if isinstance(item, list):
            value = hidden(item)
        elif isinstance(item, int):
            if name == b"radix-tree-nodes":
                value = None
            elif item > 10**12:
                value = "a time"
            elif name in (b"idle", b"inactive", b"seen-time", b"active-time"):
                value = min(0, item)
        found.append(value)
        name = item
    return found


class DifferentialTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        """Redis 7.0 counts consumers, and what a group has read, in another way than 7.2."""
        other = re.compile("XINFO|XSETID|XGROUP CREATECONSUMER")
        templates = [text for text in TEMPLATES if not other.match(text)]
        for seed in range(20):
            self.compare(Pair(seed), seed, templates)

    def test_as_valkey(self) -> None:
        """It has what Redis 7.2 has."""
        for seed in range(20):
            self.compare(Pair(seed, program=valkey()), seed, TEMPLATES)

    def compare(self, pair: Pair, seed: int, templates: Sequence[str]) -> None:
        random = Random(seed)
        try:
            for command in commands_of(random, templates, WORDS, 600):
                ours, theirs = (masked(command, reply) for reply in pair.run(command))
                self.assertEqual(ours, theirs, f"seed {seed} {command}")
        finally:
            pair.close()
