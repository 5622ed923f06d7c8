"""A script with a dict as its store."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1

from epaxos.interfaces import CommandError, Reply, SimpleString
from epaxos.interfaces.redis import OK, fits, integer_of
from epaxos.scripts.engine import Engine, Result, Script

__all__ = ["ARGUMENTS", "ARITIES", "KEYS", "Store", "run"]

ARITIES = {b"SET": 3, b"GET": 2, b"INCR": 2, b"DEL": -2, b"MGET": -2, b"EXISTS": -2, b"PING": 1, b"ECHO": 2}
KEYS, ARGUMENTS = [b"k1", b"k2"], [b"a", b"7", b"x y"]


class Store:
    """A few commands, with Redis' words."""

    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}

    def __call__(self, command: Sequence[bytes]) -> Reply:
        name = bytes(command[0]).upper()
        if name not in ARITIES:
            raise CommandError("ERR Unknown Redis command called from script")
        if not fits(ARITIES[name], len(command)):
            raise CommandError("ERR Wrong number of args calling Redis command from script")
        reply: Reply = getattr(self, name.decode().lower())(*command[1:])
        return reply

    def set(self, key: bytes, value: bytes) -> Reply:
        self.data[key] = value
        return OK

    def get(self, key: bytes) -> Reply:
        return self.data.get(key)

    def incr(self, key: bytes) -> Reply:
        number = integer_of(self.data.get(key, b"0"))
        if number is None:
            return CommandError("ERR value is not an integer or out of range")
        self.data[key] = b"%d" % (number + 1)
        return number + 1

    def mget(self, *keys: bytes) -> Reply:
        return [self.data.get(key) for key in keys]

    def exists(self, *keys: bytes) -> Reply:
        return sum(key in self.data for key in keys)

    def ping(self) -> Reply:
        return SimpleString("PONG")

    def echo(self, text: bytes) -> Reply:
        return text


setattr(Store, "del", lambda self, *keys: sum(self.data.pop(key, None) is not None for key in keys))


def run(engine: Engine, text: bytes, seed: int = 7, store: Store | None = None) -> Result:
    """What a script comes to.  One that is no Lua fails."""
    script = Script(text, sha1(text).hexdigest(), KEYS, ARGUMENTS, seed)
    held = Store() if store is None else store
    try:
        return engine.run(script, held, held.data.clear)
    except CommandError as error:
        return Result(error, True)
