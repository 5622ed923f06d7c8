"""What `redis.call` does: it runs one command of the table for a script.

Names of keys that the script did not declare end the run, because the batch has not told them to the
protocol, and nobody knows what they hold at this place in the order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from epaxos.interfaces import Command, CommandError, NilArray, Reply, ReplyByKey, SimpleString
from epaxos.interfaces.access import Access
from epaxos.interfaces.doubles import text_of_double
from epaxos.interfaces.memory import OOM
from epaxos.interfaces.redis import CLOCK_SKEW, OK, fits, integer_of
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.names import name_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Keys

__all__ = ["Caller", "Undeclared", "declared_names"]

UNKNOWN = "ERR Unknown Redis command called from script"
WRONG_COUNT = "ERR Wrong number of args calling Redis command from script"
NOT_ALLOWED = "ERR This Redis command is not allowed from script"
READ_ONLY = "ERR Write commands are not allowed from read-only scripts."

NOSCRIPT = frozenset(
    (
        b"ACL ASKING AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER CONFIG DEBUG DISCARD EPAXOS EVAL "
        b"EVALSHA EVALSHA_RO EVAL_RO EXEC "
        b"FAILOVER FCALL FCALL_RO FUNCTION HELLO LATENCY MIGRATE MODULE MONITOR MULTI PFDEBUG PFSELFTEST "
        b"PSUBSCRIBE PSYNC PUNSUBSCRIBE QUIT READONLY READWRITE REPLICAOF REPLCONF RESET SAVE SCRIPT "
        b"SENTINEL SHUTDOWN SLAVEOF SLOWLOG SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SYNC UNSUBSCRIBE UNWATCH "
        b"WAIT WATCH"
    ).split()
)
"""The commands that scripts may not call, as in Redis 7.2, whether they are served or not."""


class Undeclared(Exception):
    """A script has touched a key that it did not declare."""


class _Plan(NamedTuple):
    """What a call needs of a spec.  `plain`: the number of elements that needs no check, and with which the
    first argument is all that the command touches; -1 for any."""

    handler: Callable[[Space, Command], Found]
    least: int
    most: int
    plain: int
    is_first: bool
    writes: bool
    spec: CommandSpec


def _plan_of(spec: CommandSpec) -> _Plan:
    least, most = (spec.arity, spec.arity) if spec.arity > 0 else (-spec.arity, sys.maxsize)
    is_first = spec.keys is Keys.FIRST and not spec.barrier
    plain = -1 if spec.check is None and spec.find is None else spec.plain
    return _Plan(spec.handler, least, most, plain, is_first, spec.writes, spec)


_plans: dict[bool, dict[bytes, _Plan]] = {False: {}, True: {}}
"""By whether events are told, and the names as scripts write them: in upper and in lower case."""


def _planned(table: dict[bytes, CommandSpec], plans: dict[bytes, _Plan], name: bytes) -> _Plan | None:
    upper = name.upper()
    spec = table.get(upper)
    if spec is None or upper in NOSCRIPT or upper[:1] == b"\0":
        return None
    plan = _plan_of(spec)
    if name in (upper, upper.lower()):
        plans[name] = plan
    return plan


def _check_subcommand(spec: CommandSpec, command: Command) -> None:
    name = b"|".join(command[:2]).lower()
    found = next((one for one in spec.subcommands if one.name.encode() == name), None)
    if found is None:
        raise CommandError(UNKNOWN)
    if not fits(found.arity, len(command)):
        raise CommandError(WRONG_COUNT)


class Caller:
    """Runs commands for one run of a script.

    `declared`: the names that the script may touch, None for all.  `reads_only`: whether it may write none.
    `is_full`: its first write must not be a command that may need more memory, as in Redis.  `access`: what
    the user may do whose script it is; None: everything.
    """

    __slots__ = (
        "_access", "_declared", "_is_free", "_is_full", "_plans", "_reads_only", "_space", "_table",
        "_was_full",
    )  # fmt: skip

    def __init__(
        self,
        space: Space,
        declared: Container[bytes] | None,
        reads_only: bool,
        is_full: bool = False,
        access: Access | None = None,
    ) -> None:
        self._access = access
        self._table = space.everything.table
        self._plans = _plans[space.everything.telling.is_recording]
        self._space = space
        self._declared = declared
        self._reads_only = reads_only
        self._is_full = self._was_full = is_full
        self._is_free = not (reads_only or is_full)

    def restart(self, space: Space) -> None:
        """The run begins anew in this database."""
        self._space = space
        self._is_full = self._was_full
        self._is_free = not (self._reads_only or self._is_full)

    def __call__(self, command: Command) -> Reply:
        """Run `command`.  Raises CommandError, and lets Undeclared and Due through."""
        plan = self._plans.get(command[0]) or _planned(self._table, self._plans, command[0])
        if self._access is not None:
            self._check_access(command, self._access)
        if plan is None:
            return self._other(command[0].upper(), command)
        handler, least, most, plain, is_first, writes, spec = plan
        length, space = len(command), self._space
        if not least <= length <= most:
            raise CommandError(WRONG_COUNT)
        if writes and not self._is_free:
            self._check_write(spec)
        is_plain = plain in (length, -1)
        if not is_plain and spec.check is not None:
            if spec.subcommands:
                _check_subcommand(spec, command)
            spec.check(command)
        if spec.lacks_time(space, command):
            raise CommandError(CLOCK_SKEW)
        if self._declared is not None:
            if is_plain and is_first and not space.database:
                if command[1] not in self._declared:
                    raise Undeclared(command[1])
            else:
                self._check_names(spec, command, self._declared)
        found = handler(space, command)
        return found if type(found) in _READY else _joined(found)  # type: ignore[return-value]

    def _check_access(self, command: Command, access: Access) -> None:
        denied = access.denied(command)
        if denied is not None:
            raise CommandError(f"NOPERM ACL failure in script: {denied.text()}")

    def _check_write(self, spec: CommandSpec) -> None:
        if self._reads_only:
            raise CommandError(READ_ONLY)
        if "denyoom" in spec.flags:
            raise CommandError(OOM)
        self._is_full, self._is_free = False, True

    def _check_names(self, spec: CommandSpec, command: Command, declared: Container[bytes]) -> None:
        database = self._space.database
        writes, reads, is_barrier = spec.touched(command)
        if is_barrier:
            raise Undeclared
        for key in (*writes, *reads):
            if name_of(database, key) not in declared:
                raise Undeclared(key)

    def _other(self, name: bytes, command: Command) -> Reply:
        """The commands that a connection answers, and those that nobody may call here."""
        if name in NOSCRIPT:
            raise CommandError(NOT_ALLOWED)
        least, most = OWN.get(name, (0, 0))
        if not least:
            raise CommandError(UNKNOWN)
        if not least <= len(command) <= most:
            raise CommandError(WRONG_COUNT)
        if name == b"PING":
            return command[1] if len(command) == 2 else SimpleString("PONG")
        if name == b"ECHO":
            return command[1]
        if name == b"TIME":
            now_ms = self._space.now_ms
            if not now_ms:
                raise CommandError(CLOCK_SKEW)
            return [b"%d" % (now_ms // 1000), b"%d" % (now_ms % 1000 * 1000)]
        number = integer_of(command[1])
        if number is None:
            raise CommandError("ERR value is not an integer or out of range")
        self._space = self._space.in_database(number)
        return OK


OWN = {b"PING": (1, 2), b"ECHO": (2, 2), b"TIME": (1, 1), b"SELECT": (2, 2)}
"""The commands of a connection that a script may call, and how many elements they have: least and most."""


_READY = {bytes, int, SimpleString, type(None)}


def _joined(found: Found) -> Reply:
    if isinstance(found, Growing):
        return found.joined()
    if type(found) is float:
        return text_of_double(found)
    if type(found) is NilArray:
        return None  # Lua has one nil
    if type(found) is ReplyByKey:
        return [list(pair) for pair in zip(found[::2], map(_joined, found[1::2]))]
    if isinstance(found, list):
        return [_joined(item) for item in found]
    return found


def declared_names(database: int, keys: Sequence[bytes]) -> frozenset[bytes]:
    """The names of the keys that a script declares."""
    return frozenset(name_of(database, key) for key in keys) if database else frozenset(keys)
