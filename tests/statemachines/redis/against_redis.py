"""A store of ours beside a real Redis: each command goes to both, and they have to answer alike."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from random import Random

import hiredis

from epaxos.interfaces import CommandError, NilArray, ReplyByKey
from epaxos.interfaces.doubles import text_of_double
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.resp.reference import RealRedis
from tests.statemachines.redis.lab import Client
from tests.statemachines.redis.wall_clock import WallClock

__all__ = ["Pair", "commands_of"]


class Pair:
    """Both stores; `settings`: those of the real one, `program`: which it is.  Raises SkipTest where there is
    none."""

    def __init__(
        self, seed: int = 0, settings: Sequence[str] = (), program: str | None = "redis-server"
    ) -> None:
        self.real = RealRedis(*settings, program=program)
        self._link = self.real.dial()
        self._reader = hiredis.Reader()
        self.ours = Client()
        random = Random(seed)
        self.ours.store = KeyValueStore()
        self.ours.store.use_clock(WallClock(time.time), lambda: random.getrandbits(64))

    def close(self) -> None:
        self._link.close()
        self.real.close()

    def theirs(self, command: Sequence[bytes]) -> object:
        """What Redis answers; an error as its text."""
        parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in command]
        self._link.sendall(b"*%d\r\n%b" % (len(command), b"".join(parts)))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._link.recv(65536))
        return str(reply) if isinstance(reply, hiredis.ReplyError) else reply

    def run(self, command: Sequence[bytes]) -> tuple[object, object]:
        """What we answer, and what Redis answers."""
        return plain(self.ours.run([list(command)])[0]), self.theirs(command)


def plain(reply: object) -> object:
    """A reply of ours as the reader of RESP2 gives it."""
    if isinstance(reply, CommandError):
        return str(reply)
    if isinstance(reply, str):
        return reply if re.match("[A-Z]+ ", reply) else reply.encode()
    if isinstance(reply, NilArray):
        return None
    if isinstance(reply, float):
        return text_of_double(reply)
    if isinstance(reply, ReplyByKey):
        return [list(pair) for pair in zip(map(plain, reply[::2]), map(plain, reply[1::2]))]
    return list(map(plain, reply)) if isinstance(reply, list) else reply


def commands_of(
    random: Random, templates: Sequence[str], words: dict[str, Sequence[bytes]], count: int
) -> list[list[bytes]]:
    """Random commands.  A word of a template that `words` has is replaced by one of its choices;
    `[a b]` is there or not."""
    made = []
    for _ in range(count):
        template = re.sub(
            r"\[([^]]*)\]", lambda found: found[1] if random.random() < 0.4 else "", random.choice(templates)
        )
        made.append(
            [random.choice(words[word]) if word in words else word.encode() for word in template.split()]
        )
    return made
