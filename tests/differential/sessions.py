"""Random sessions of two clients: alone, in MULTI, in scripts, with WATCH, while the clock goes on."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from tests.differential.families import FAMILIES, KEYS, Family, Words
from tests.resp.differential import encode

__all__ = ["Asked", "Session", "Step", "session_of"]

TICK_MS = 1009
"""The clock goes on by whole ticks.  No deadline is a whole number of them away, so none meets the clock."""
ONE = (
    b"return redis.call(unpack(ARGV))",
    b"return redis.pcall(unpack(ARGV))",
)
"""Scripts that run one command."""
MANY = b"""\
local found, place = {}, 1
while ARGV[place] do
  local length = tonumber(ARGV[place])
  found[#found + 1] = redis.pcall(unpack(ARGV, place + 1, place + length)) or 'nothing'
  place = place + length + 1
end
return found"""


class Asked(NamedTuple):
    """A command.  `is_unordered`: whether its reply has parts whose order does not count."""

    words: Words
    is_unordered: bool = False


class Step(NamedTuple):
    """What one of the clients sends at once, after some ticks of the clock."""

    client: int
    ticks: int
    asked: Sequence[Asked]

    @property
    def data(self) -> bytes:
        """The bytes."""
        return b"".join([encode(one.words) for one in self.asked])

    def __str__(self) -> str:
        lines = [f"client {self.client}, after {self.ticks} ticks"]
        return "\n  ".join([*lines, *(b" ".join(map(_shown, one.words)).decode() for one in self.asked)])


def _shown(word: bytes) -> bytes:
    return repr(word)[1:].encode() if not word or not word.isalnum() else word


Session = list[Step]


def session_of(random: Random, families: Sequence[Family] = FAMILIES) -> Session:
    """A session; at its end every value is read."""
    some = random.sample(families, random.choice((1, 2, len(families), len(families))) % (len(families) + 1))
    maker = _Maker(random, some or families)
    steps = [Step(client, 0, [Asked([b"HELLO", random.choice((b"2", b"3"))])]) for client in (0, 1)]
    for _ in range(random.randrange(2, 12)):
        steps += maker.steps()
    looks = [
        Asked(_read(reads, key), True)
        for reads in ("TYPE k", "PTTL k", *(family.reads for family in families if family.reads))
        for key in KEYS
    ]
    return [*steps, *(Step(0, 0, [Asked([b"SELECT", number]), *looks]) for number in (b"1", b"0"))]


def _read(text: str, key: bytes) -> Words:
    return [key if word == "k" else word.encode() for word in text.split()]


class _Maker:
    def __init__(self, random: Random, families: Sequence[Family]) -> None:
        self._random = random
        self._families = families

    def steps(self) -> Session:
        """The next steps of a client, or of both."""
        random = self._random
        client = random.randrange(2)
        kind = random.random()
        ticks = random.choice((0, 0, 0, 0, 1, 1, 2, 5, 10))
        if kind < 0.6:
            return [Step(client, ticks, [self._one() for _ in range(random.choice((1, 1, 2, 5, 12)))])]
        if kind < 0.8:
            return [Step(client, ticks, self._transaction())]
        watch = [Asked([b"WATCH", *random.choices(KEYS, k=random.choice((1, 1, 2)))])]
        families, self._families = self._families, [one for one in self._families if one.is_watched]
        between = [Step(1 - client, random.choice((0, 0, 0, 1)), [self._one()])] if self._families else []
        self._families = families
        return [Step(client, ticks, watch), *between, Step(client, 0, self._transaction())]

    def _command(self) -> Asked:
        family = self._random.choice(self._families)
        words = family.command(self._random)
        return Asked(words, words[0].upper() in family.unordered)

    def _one(self) -> Asked:
        """A command, perhaps in a script."""
        return self._in_script() if self._random.random() < 0.25 else self._command()

    def _in_script(self) -> Asked:
        random = self._random
        keys = KEYS if random.random() < 0.5 else ()  # all are declared, or none
        asked = [self._command() for _ in range(random.choice((1, 1, 2, 4)))]
        if len(asked) == 1:
            script, arguments = random.choice(ONE), asked[0].words
        else:
            script = MANY
            arguments = [word for one in asked for word in (b"%d" % len(one.words), *one.words)]
        return Asked(
            [b"EVAL", script, b"%d" % len(keys), *keys, *arguments], any(one.is_unordered for one in asked)
        )

    def _transaction(self) -> list[Asked]:
        random = self._random
        queued = [self._one() for _ in range(random.choice((0, 1, 2, 3, 6)))]
        unordered = any(one.is_unordered for one in queued)
        end = b"EXEC" if random.random() < 0.9 else b"DISCARD"
        asked = [Asked([b"MULTI"]), *queued, Asked([end], unordered)]
        if random.random() < 0.05:
            del asked[random.randrange(len(asked))]
        return asked
