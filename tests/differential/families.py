"""The commands that are compared, by families: a new type of values brings a table, and a line in FAMILIES.

A template is a command; a word of it that the family has is replaced by one of its choices, and `[a b]` is
there or not.  No template asks for something that chance decides: the two servers throw different dice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from tests.statemachines.redis import (
    test_bits,
    test_geo,
    test_hashes,
    test_lists,
    test_sets,
    test_streams,
    test_zsets,
)

__all__ = ["FAMILIES", "KEYS", "Family", "Words"]

Words = list[bytes]

KEYS = (b"a", b"b", b"c", b"d", b"e", b"{k}\0\r\n", b"")
"""All families share them, so that commands meet values of other types."""

NUMBERS = (b"0", b"1", b"-1", b"3", b"-3", b"100", b"01", b"x", b"", b" 1", b"1.5", b"9223372036854775807",
    b"-9223372036854775808", b"9223372036854775808", b"9" * 30)  # fmt: skip
VALUES = (b"", b"1", b"-5", b"07", b"3.0", b"text", b"abcab", b"\xfe\xff", b"x" * 64, b"y" * 70, b" 1",
    b"x\0\r\n", b"9223372036854775807")  # fmt: skip
FLOATS = (b"1", b"0.5", b"-0.25", b"3.0", b"5.0e3", b"x", b".5", b"5.", b"", b" 1", b"1e5", b"inf", b"nan",
    b"-0")  # fmt: skip
GLOBS = (b"*", b"?", b"[a-c]", b"[^a]", b"a*", b"*k*", b"\\a", b"", b"[", b"[b")


class Family(NamedTuple):
    """`templates`: see above.  `words`: the choices.  `keys`: which words of a template are keys.

    `unordered`: the commands whose replies have an order that does not count.  `reads`: what shows a whole
    value of this type, `k` being its key.  `valkey`: whether redis-server 7.0 has no such commands.
    `is_watched`: whether WATCH sees the same changes at both.
    """

    name: str
    templates: Sequence[str]
    words: Mapping[str, Sequence[bytes]]
    keys: Sequence[str] = ("k",)
    unordered: frozenset[bytes] = frozenset()
    reads: str = ""
    valkey: bool = False
    is_watched: bool = True

    def command(self, random: Random) -> Words:
        """A random command."""
        text = re.sub(
            r"\[([^]]*)\]",
            lambda found: found[1] if random.random() < 0.4 else "",
            random.choice(self.templates),
        )
        return [self._word(word, random) for word in text.split()]

    def _word(self, word: str, random: Random) -> bytes:
        if word in self.keys:
            return random.choice(KEYS)
        found = self.words.get(word)
        return word.encode() if found is None else random.choice(found)


STRINGS = Family(
    "strings",
    (
        *(
            "GET k",
            "GET k",
            "SET k v",
            "SET k v",
            "SET k v",
            "SET k v cond",
            "SET k v [cond] GET",
            "SETNX k v",
        ),
        *("SET k v end n", "SET k v end ms [cond]", "SET k v KEEPTTL [GET]", "SETEX k n v", "PSETEX k ms v"),
        *("GETSET k v", "GETDEL k", "GETEX k", "GETEX k end n", "GETEX k end ms", "GETEX k PERSIST"),
        *("MGET k k [k]", "MSET k v k v", "MSET k v k", "MSETNX k v k v", "APPEND k v", "STRLEN k"),
        *("INCR k", "DECR k", "INCRBY k n", "DECRBY k n", "INCRBYFLOAT k f", "SET k f"),
        *("GETRANGE k n n", "SUBSTR k n n", "SETRANGE k small v", "SETRANGE k n v"),
        *("LCS k k", "LCS k k LEN", "LCS k k IDX [WITHMATCHLEN] [MINMATCHLEN small]", "LCS k k x"),
        *("SET k v x", "SET k", "GET k k", "SET k v EX", "SET k v NX XX", "SET k v EX 1 PX 1", "GETEX k x"),
    ),
    {
        "v": VALUES,
        "n": NUMBERS,
        "f": FLOATS,
        "ms": (b"5", b"555", b"5555", b"100005"),
        "small": (b"0", b"1", b"2", b"7", b"200"),
        "cond": (b"NX", b"xx", b"XX", b"nx"),
        "end": (b"EX", b"PX", b"ex", b"px"),
    },
    reads="GET k",
)
KEYSPACE = Family(
    "keys",
    (
        *(
            "DEL k [k]",
            "UNLINK k [k]",
            "EXISTS k [k] [k]",
            "TOUCH k k",
            "TYPE k",
            "RENAME k k",
            "RENAMENX k k",
        ),
        *("COPY k k [REPLACE]", "COPY k k DB db [REPLACE]", "MOVE k db", "SWAPDB db db", "SELECT db"),
        *(
            "KEYS g",
            "SCAN 0 COUNT 10000 [MATCH g] [TYPE t]",
            "SCAN x",
            "SCAN 0 COUNT bad",
            "DBSIZE x",
            "SCAN 0 x",
        ),
        *("OBJECT ENCODING k", "OBJECT", "OBJECT x k", "TYPE k k", "FLUSHDB [SYNC]"),
        *(
            "MOVE k n",
            "COPY k",
            "COPY k k DB n",
            "RENAME k",
            "SWAPDB n n",
            "KEYS",
            "FLUSHALL x",
            "OBJECT FREQ k",
        ),
    ),
    {
        "db": (b"0", b"1", b"2"),
        "g": GLOBS,
        "t": (b"string", b"hash", b"list", b"set", b"zset", b"stream", b"x"),
        "n": NUMBERS,
        "bad": (b"0", b"-1", b"x", b"", b"1.5"),
    },
    unordered=frozenset({b"KEYS", b"SCAN"}),
)
DEADLINES = Family(
    "deadlines",
    (
        *("EXPIRE k s [o]", "PEXPIRE k ms [o]", "EXPIREAT k at [o]", "PEXPIREAT k atms [o]", "PERSIST k"),
        *(
            "TTL k",
            "PTTL k",
            "EXPIRETIME k",
            "PEXPIRETIME k",
            "EXPIRE k n",
            "PEXPIRE k n o o",
            "EXPIREAT k n",
        ),
        *("EXPIRE k", "TTL", "EXPIRE k s o o", "PERSIST k", "PEXPIREAT k n o", "EXPIRE k s x"),
    ),
    {
        "s": (b"1", b"2", b"10", b"100", b"0", b"-1"),
        "ms": (b"5", b"55", b"555", b"5555", b"0", b"-7"),
        "at": (b"1800000001", b"1800000005", b"1800000100", b"1", b"99999999999"),
        "atms": (b"1800000000005", b"1800000005055", b"1800000100005", b"1", b"99999999999999"),
        "n": (*NUMBERS, b"9223372036854775", b"-9223372036854775"),
        "o": (b"NX", b"XX", b"GT", b"lt", b"LT", b"gt", b"foo"),
    },
)
_SCANS = re.compile("[HSZ]SCAN k (c|0 COUNT [ni])$")
"""What has to tell nothing of a part of a large value."""


def _but(templates: Sequence[str], pattern: str = "-") -> tuple[str, ...]:
    return tuple(text for text in templates if not re.match(pattern, text) and not _SCANS.match(text))


HASHES = Family(
    "hashes",
    _but(test_hashes.TEMPLATES),
    {**test_hashes.WORDS, "f": (*test_hashes.WORDS["f"], *(b"more:%d" % number for number in range(150)))},
    keys=("k", "s"),
    unordered=frozenset(test_hashes.UNORDERED),
    reads="HGETALL k",
)
SCRIPTS = Family(
    "scripts",
    (
        *("EVAL text 0", "EVAL text 1 k", "EVAL text 2 k k v v", "EVAL_RO text 1 k", "EVALSHA sha 1 k"),
        *(
            "EVALSHA sha 0",
            "EVAL text",
            "EVAL text n k",
            "EVAL text 2 k",
            "SCRIPT EXISTS sha sha",
            "SCRIPT x",
        ),
        *("SCRIPT LOAD text", "SCRIPT FLUSH [SYNC]", "SCRIPT EXISTS", "SCRIPT FLUSH x", "EVALSHA_RO sha 1 k"),
    ),
    {
        "text": (
            b"return {KEYS[1], ARGV[1], 1, 2.5, false, true, 'x'}",
            b"return redis.call('GET', KEYS[1])",
            b"return redis.pcall('HGETALL', KEYS[1] or 'a')",
            b"redis.call('SET', KEYS[1] or 'b', 'by script', 'PX', 555) return redis.status_reply('DONE')",
            b"redis.call('HSET', KEYS[1], 'f', 1) return redis.call('PTTL', KEYS[1])",
            b"return redis.error_reply('MY own')",
            b"return {err='EVEN so'}",
            b"return redis.call('TIME')",
            b"return redis.call('EXISTS', KEYS[1], KEYS[2])",
            b"return {1, nil, 3}",
            b"return redis.sha1hex('')",
        ),
        "sha": (
            b"da39a3ee5e6b4b0d3255bfef95601890afd80709",
            b"x",
            b"7cc5ee33b5a1bb36d3bb6f8d2ffdb0e1e3c1c6b5",
        ),
        "v": VALUES,
        "n": NUMBERS,
    },
)

LISTS = Family("lists", test_lists.TEMPLATES, test_lists.WORDS, ("k", "s"), reads="LRANGE k 0 -1")
SORTS = Family(
    "sorts",
    (
        *(
            "SORT k ALPHA [DESC] [LIMIT i i] [GET #]",
            "SORT k [ALPHA] [DESC] STORE k",
            "SORT_RO k [DESC] [ALPHA]",
        ),
        *("SORT k BY nosort [DESC] [LIMIT i i]", "SORT k BY w* [DESC] [GET #] [GET w*] [GET h*->f]"),
        *(
            "RPUSH k n n n",
            "RPUSH k n v n",
            "ZADD k n n n v",
            "MSET w1 n w2 n w3 n",
            "HSET h1 f v",
            "HSET h2 f n",
        ),
        *("DEL w1 h2", "DEL k", "SORT k LIMIT i", "SORT k GET", "PEXPIRE k 30"),
    ),
    {"n": (b"1", b"2", b"3", b"-5", b"0.5"), "v": VALUES, "i": (b"0", b"1", b"-1", b"2", b"x", b"9" * 18)},
    reads="LRANGE k 0 -1",
)
SETS = Family(
    "sets",
    _but(test_sets.TEMPLATES),
    test_sets.WORDS,
    ("k", "s"),
    frozenset(test_sets.UNORDERED),
    "SMEMBERS k",
)
BITS = Family(
    "bits",
    _but(test_bits.TEMPLATES, "BITCOUNT e|BITPOS e"),
    {**test_bits.WORDS, "n": [one for one in test_bits.WORDS["n"] if len(one) < 20]},
    ("k", "s", "e"),
)
SORTED_SETS = Family(
    "zsets",
    _but(test_zsets.TEMPLATES),
    test_zsets.WORDS,
    ("k", "d", "s"),
    frozenset({b"ZSCAN", b"ZRANDMEMBER"}),
    "ZRANGE k 0 -1 WITHSCORES",
)
GEO = Family("geo", test_geo.TEMPLATES, test_geo.WORDS, ("k",))
STREAMS = Family(
    "streams",
    _but(test_streams.TEMPLATES, "XINFO|XPENDING k g .|XREAD (GROUP|x)"),
    test_streams.WORDS,
    ("k", "s"),
    reads="XRANGE k - +",
    valkey=True,
    is_watched=False,  # of a stream, a change of its groups is one here
)

FAMILIES = (
    STRINGS,
    KEYSPACE,
    DEADLINES,
    HASHES,
    SCRIPTS,
    LISTS,
    SORTS,
    SETS,
    BITS,
    SORTED_SETS,
    GEO,
    STREAMS,
)
