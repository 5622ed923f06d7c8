"""Random commands as the usages of all commands say, with words of all kinds, also hostile ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Union

from epaxos.interfaces import Command
from epaxos.statemachines.redis.commands import COMMANDS

__all__ = ["KEYS", "random_command"]

KEYS = (b"a", b"b", b"c", b"d", b"{e}", b"f", b"", b"nul\0key", b"\xff\xfe\xfd")
HOSTILE = (
    *(b"\0", b"9" * 400, b"-" + b"9" * 400, b"9" * 5000, b"9223372036854775807", b"-9223372036854775808"),
    *(b"18446744073709551615", b"nan", b"inf", b"-inf", b"-0.0", b"1e308", b"1e400", b"1e-400", b"0x1p3"),
    *(b"1_0", b" 1", b"\xd9\xa1", b"*", b"$", b">", b"+", b"-", b"(", b"[", b"(1", b"x" * 3000, b"-1-1"),
)
MEMBERS = (
    *(b"m%d" % number for number in range(10)),
    b"",
    b"\xfe",
    b"\xff\xfd\0",
    b"x" * 64,
    b"x" * 65,
    b"7",
)
IDS = (b"1-1", b"2-0", b"5", b"0", b"1000000-0", b"1000050-0", b"-", b"+", b"*", b">", b"$", b"5-*", b"(1-1")
NUMBERS = (b"0", b"1", b"2", b"-1", b"1.5", b"-2.25", b"100", b"-inf", b"-0")
COUNTS = (b"0", b"1", b"2", b"3", b"-1", b"-2", b"10", b"m1")
WORDS: dict[str, Sequence[bytes]] = {
    **dict.fromkeys(("source", "destination", "newkey"), KEYS),
    **dict.fromkeys(("group", "groupname"), (b"g1", b"g2")),
    **dict.fromkeys(("member", "element", "field", "pivot", "value", "name"), MEMBERS),
    **dict.fromkeys(("score", "increment", "weight"), NUMBERS),
    **dict.fromkeys(("min", "max"), (*NUMBERS, b"-", b"+", b"[m1", b"(m3", b"(1")),
    **dict.fromkeys(("milliseconds", "ms", "ttl", "seconds"), (b"1", b"5", b"30", b"1000")),
    "consumer": (b"c1", b"c2", b"c3"),
    "db": (b"0", b"1", b"2"),
    "numkeys": (b"1", b"2", b"3"),
    "pattern": (b"*", b"w_*", b"#", b"nosort", b"*->m1"),
    "timeout": (b"0.01",),
    "type": (b"u8", b"i64", b"u63", b"i5"),
}
MORE = [
    "XGROUP CREATE key group id [MKSTREAM]",
    "XGROUP SETID key group id",
    "XGROUP DESTROY key group",
    "XADD key id name value [name value ...]",
    "XGROUP CREATECONSUMER key group consumer",
    "XGROUP DELCONSUMER key group consumer",
    "XINFO STREAM key FULL",
    "XINFO GROUPS key",
    "XADD key * name value",
    "XADD key MAXLEN ~ count * name value",
    "XREADGROUP GROUP group consumer COUNT count STREAMS key >",
    "XREADGROUP GROUP group consumer STREAMS key id",
    "XCLAIM key group consumer count id [id ...] FORCE",
    "HSET key field value [field value ...]",
    "PEXPIRE key ms",
    "RPUSH key element [element ...]",
    "SADD key member [member ...]",
    "ZADD key score member [score member ...]",
    "BITFIELD key SET type count count INCRBY type count score",
    "MEMORY USAGE key",
    "OBJECT ENCODING key",
    "SORT key ALPHA STORE key",
    "SORT key BY pattern GET pattern STORE key",
    "SWAPDB db db",
]
APART = frozenset(
    b"EVAL EVAL_RO EVALSHA EVALSHA_RO SCRIPT PUBLISH SPUBLISH FLUSHALL FLUSHDB RESTORE OBJECT MEMORY"
    b" XGROUP XINFO SWAPDB KEYS SCAN RANDOMKEY".split()
)
"""What is in MORE, and what answers by chance or by the order of keys, which means nothing."""
TOKEN = re.compile(r"\[|\]|\||\.\.\.|[^\s\[\]|]+")

_Part = Union[str, list["_Part"]]


def _parsed(tokens: list[str]) -> list[list[_Part]]:
    """Up to the closing bracket: the alternatives; what is in brackets is a list of alternatives."""
    found: list[list[_Part]] = [[]]
    while tokens and (token := tokens.pop(0)) != "]":
        if token == "[":
            found[-1].append(_parsed(tokens))  # type: ignore[arg-type]
        elif token == "|":
            found.append([])
        else:
            found[-1].append(token)
    return found


_USAGES = [
    _parsed(TOKEN.findall(usage))[0]
    for usage in (
        *MORE,
        *(s.usage for n, s in COMMANDS.items() if s.usage and n[:1] != b"\0" and n not in APART),
    )
]


def _word(random: Random, word: str, name: bytes) -> bytes:
    if word.isupper() or word in ("~", "=", ">", "*"):
        return word.encode()
    if random.random() < 0.03:
        return random.choice(HOSTILE)
    plain = word.lower().strip("<>")
    if "key" in plain and plain != "numkeys":
        return random.choice(KEYS)
    if name[:1] == b"X" and (plain in ("start", "end", "threshold") or "id" in plain.split("-")):
        return random.choice(IDS)
    return random.choice(WORDS.get(plain, COUNTS))


def _add(random: Random, parts: Sequence[_Part], command: list[bytes]) -> None:
    for part in parts:
        if isinstance(part, list):
            alternatives: list[list[_Part]] = part  # type: ignore[assignment]
            repeats = "..." in alternatives[0]
            for _ in range(random.choice((0, 1, 2, 3, 12)) if repeats else random.random() < 0.35):
                _add(random, random.choice(alternatives), command)
        elif part != "...":
            command.append(_word(random, part, command[0] if command else b""))


def random_command(random: Random) -> Command:
    """A command that may be right or wrong; MORE come more often."""
    usages = _USAGES[: len(MORE)] if random.random() < 0.4 else _USAGES
    command: list[bytes] = []
    _add(random, random.choice(usages), command)
    return command
