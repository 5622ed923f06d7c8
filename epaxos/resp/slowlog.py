"""Commands that took long: those of SLOWLOG, by the time of their run, and the event `command` of LATENCY.

A batch runs as one, and its time is measured as one, so that a command costs nothing.  A slow batch has one
entry, of the command in it that costs most by its kind and length; others ran beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import NamedTuple

from epaxos.interfaces import Command, CommandInfo
from epaxos.interfaces.composites import EXEC, IN, UNWATCH, WATCH
from epaxos.interfaces.instruments import LatencyMonitor, Took
from epaxos.interfaces.memory import CONFIGURE
from epaxos.interfaces.users import AS, BEGIN, DELETE, SET, USERS
from epaxos.resp.redaction import REDACTED, is_secret_in
from epaxos.resp.session import Session

__all__ = ["Entry", "SlowCommands", "shown"]

WORDS_MAX = 32
"""Words of a command that are kept, as with Redis."""
WORD_BYTES_MAX = 128
"""Bytes of each."""
_MADE = {WATCH: [b"WATCH"], UNWATCH: [b"UNWATCH"], CONFIGURE: [b"CONFIG", b"SET"]}
"""What the client sent, of commands that connections make."""
_NEVER = frozenset([b"AUTH", b"HELLO"])
"""Commands that are not kept, as with Redis."""
_OF_USERS = {SET: b"SETUSER", DELETE: b"DELUSER", BEGIN: b"SETUSER"}


class Entry(NamedTuple):
    """`time`: seconds since 1970, when the command was answered.  `us`: microseconds of the run."""

    id: int
    time: int
    us: int
    words: list[bytes]
    address: str
    client_name: bytes


class SlowCommands:
    """The last slow commands, and what the latency monitor is told of commands.

    `infos`: of the commands of the replica.  `wall_clock`: seconds since 1970.  `took`: see IClients.
    """

    def __init__(
        self,
        infos: Collection[CommandInfo],
        latency: LatencyMonitor,
        wall_clock: Callable[[], float],
        took: Callable[[], Took | None],
    ) -> None:
        self._costs = {info.name.upper().encode(): _cost(info) for info in infos}
        self._latency = latency
        self._wall_clock = wall_clock
        self._took = took
        self._next_id = 0
        self._batch: tuple[float, tuple[int, int]] | None = None  # of the newest entry, and its weight
        self._after_us = -1
        self.entries: deque[Entry] = deque(maxlen=0)
        """The newest is the last."""
        self.least_s = inf
        """What takes less than these seconds from its arrival to its reply is of no interest here."""

    def use(self, after_us: int, entries_max: int) -> None:
        """Keep `entries_max` commands that ran for at least `after_us` microseconds; below 0: none."""
        self._after_us = after_us
        self.entries = deque(self.entries, maxlen=entries_max)
        self.least_s = min(self._latency.after_s, after_us / 1e6 if after_us >= 0 and entries_max else inf)

    def forget(self) -> None:
        """Drop all entries.  Their ids are not used again."""
        self.entries.clear()
        self._batch = None

    def on_answered(self, commands: Sequence[Command], who: Callable[[int], Session], seconds: float) -> None:
        """The replica has run these commands, and they are answered now, `seconds` after they came.

        `who(number)`: the client of the command with this number.
        """
        if seconds >= self._latency.after_s:
            self._latency.add("command", seconds)
        took = self._took()
        if took is None or self._after_us < 0 or took.run * 1e6 < self._after_us:
            return
        weights = list(map(self._weight, commands))
        heaviest = max(weights)
        if self._batch is not None and self._batch[0] == took.began and self.entries:
            if self._batch[1] >= heaviest:
                return
            self.entries.pop()
            self._next_id -= 1
        number = weights.index(heaviest)
        self._batch = (took.began, heaviest)
        self._add(commands[number], who(number), took.run)

    def on_own(self, command: Command, session: Session, seconds: float) -> None:
        """A connection has answered this command itself, in `seconds` seconds."""
        if seconds >= self._latency.after_s:
            self._latency.add("command", seconds)
        if 0 <= self._after_us <= seconds * 1e6 and command[0].upper() not in _NEVER:
            self._batch = None
            self._add(command, session, seconds)

    def _weight(self, command: Command) -> tuple[int, int]:
        """By which the commands of a batch are compared."""
        name = command[2 if command[0] in (IN, AS) else 0]
        return self._costs.get(name.upper(), _SLOW), sum(map(len, command))

    def _add(self, command: Command, session: Session, seconds: float) -> None:
        self.entries.append(
            Entry(
                self._next_id,
                int(self._wall_clock()),
                int(seconds * 1e6),
                shown(command),
                session.address,
                session.client_name,
            )
        )
        self._next_id += 1


_FAST, _SHORT, _SLOW = range(3)


def _cost(info: CommandInfo) -> int:
    """How much a command of this kind may cost: `SET` less than what goes through many elements or keys."""
    if "fast" in info.flags:
        return _FAST
    return _SHORT if "string" in info.categories and not info.is_barrier else _SLOW


def shown(command: Command) -> list[bytes]:
    """The command as the client sent it, cut as Redis cuts it, but for secrets."""
    words = _sent(command)
    is_secret = is_secret_in(words)
    kept = words[: WORDS_MAX - 1] if len(words) > WORDS_MAX else words
    kept = [REDACTED if is_secret(number) else word for number, word in enumerate(kept)]
    found = [
        word
        if len(word) <= WORD_BYTES_MAX
        else b"%b... (%d more bytes)" % (word[:WORD_BYTES_MAX], len(word) - WORD_BYTES_MAX)
        for word in kept
    ]
    if len(kept) < len(words):
        found.append(b"... (%d more arguments)" % (len(words) - len(kept)))
    return found


def _sent(command: Command) -> Sequence[bytes]:
    name = command[0]
    if name in (IN, AS):
        return _sent(command[2:])
    if name == USERS:
        return [b"ACL", _OF_USERS.get(command[1], command[1]), *command[2:]]
    if name == EXEC:
        return [b"EXEC", *_inside(command)]
    return [*_MADE[name], *command[1:]] if name == CONFIGURE else _MADE.get(name, command)


def _inside(command: Command) -> list[bytes]:
    """The words of the first commands of a transaction: see `composites.transaction`."""
    at = 4 + 2 * int(command[3])
    words: list[bytes] = []
    while at < len(command) and len(words) < WORDS_MAX:
        length = int(command[at + 1])
        words += command[at + 2 : at + 2 + length]
        at += 2 + length
    if at < len(command):
        words += command[at:]
    return words
