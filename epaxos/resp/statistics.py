"""Counts commands by their names, for the section `Commandstats` of `INFO`.

What goes to the replica is counted chunk by chunk, because a command may cost no Python of its own there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter

from epaxos.interfaces import Command, CommandInfo, IClients, Outcome, Unavailable
from epaxos.interfaces.composites import EXEC, IN, LIVES, UNWATCH, WATCH
from epaxos.interfaces.memory import CONFIGURE
from epaxos.interfaces.metrics import Histogram
from epaxos.interfaces.users import AS, USERS
from epaxos.resp.session import Session
from epaxos.resp.slowlog import SlowCommands

__all__ = ["Commandstats", "Counted", "is_counted_later"]

_name = itemgetter(0)
_INSIDE = 2
"""Where a command in another database has the name of that command."""


_SENT = {EXEC: b"EXEC", WATCH: b"WATCH", UNWATCH: b"", LIVES: b"", CONFIGURE: b"", USERS: b""}
"""The names that the client sent; empty for what accompanies commands that are counted where they came."""
_MADE = {IN, AS, *_SENT}


def _asked(command: Command) -> bytes:
    """The name that the client sent."""
    while command[0] in (IN, AS):
        command = command[_INSIDE:]
    return _SENT.get(command[0], command[0])


def is_counted_later(command: Command) -> bool:
    """Whether `Counted` counts what a connection has made of a command, with the time of agreement."""
    return bool(_SENT.get(command[0]))


class _Count:
    """Of one command.  `times`: those of its family."""

    __slots__ = ("calls", "failed", "refused", "seconds", "times")

    def __init__(self, times: Histogram) -> None:
        self.times = times
        self.calls = self.failed = self.refused = 0
        self.seconds = 0.0


class Commandstats:
    """The counts by name; `known(name)`: whether there is such a command, in lower case, so that names are
    bounded.  `family(name)`: the kind of values that the command works on.
    """

    def __init__(self, known: Callable[[bytes], bool], family: Callable[[bytes], str]) -> None:
        self._known = known
        self._family = family
        self._counts: dict[bytes, _Count] = {}
        self.times: dict[str, Histogram] = {}
        """By families: the times until the replies.  They are never counted anew."""

    def reset(self) -> None:
        """Count anew (`CONFIG RESETSTAT`)."""
        self._counts = {}

    def answered(self, name: bytes, calls: int, seconds: float, failed: bool = False) -> None:
        """`calls` commands of this name were answered after `seconds`, or could not be run."""
        count = self._of(name)
        count.calls += calls
        count.seconds += calls * seconds
        count.times.add(seconds, calls)
        if failed:
            count.failed += calls

    def refused(self, name: bytes) -> None:
        """A command that might be called so was refused before it ran."""
        if self._known(name.lower().partition(b"|")[0]):
            self._of(name).refused += 1

    def _of(self, name: bytes) -> _Count:
        count = self._counts.get(name)
        if count is None:
            lower = name.lower()
            count = self._counts.get(lower)
            if count is None:
                times = self.times.setdefault(self._family(lower), Histogram())
                count = self._counts[lower] = _Count(times)
        return count

    def counts(self) -> Iterator[tuple[str, int, int, int]]:
        """For each command: its name, its calls, how many of them could not be run, and how many others were
        refused before they ran."""
        for name, count in sorted(self._counts.items()):
            yield name.decode(), count.calls, count.failed, count.refused

    def fields(self) -> Iterator[tuple[str, str]]:
        """As Redis shows them.  `usec` is the time until the replies, with that of agreement."""
        for name, count in sorted(self._counts.items()):
            us = round(count.seconds * 1e6)
            each = us / count.calls if count.calls else 0.0
            yield (
                f"cmdstat_{name.decode()}",
                f"calls={count.calls},usec={us},usec_per_call={each:.2f},"
                f"rejected_calls={count.refused},failed_calls={count.failed}",
            )


class Counted:
    """Hands commands in to `clients`, and counts them.  `seconds`: a clock that never goes back.  `slow`: is
    told of what may have taken long."""

    def __init__(
        self, clients: IClients, stats: Commandstats, seconds: Callable[[], float], slow: SlowCommands
    ) -> None:
        self._slow = slow
        self._clients = clients
        self._stats = stats
        self._seconds = seconds
        self.is_read = clients.is_read

    def commands(self) -> Sequence[CommandInfo]:
        """See IClients."""
        return self._clients.commands()

    def submit(
        self,
        commands: Sequence[Command],
        on_done: Callable[[Outcome], None],
        size_bytes: int = 0,
        who: Callable[[int], Session] | None = None,
    ) -> None:
        """See IClients.  `who(number)`: the client of the command with this number; None: of nobody."""
        calls: dict[bytes, int]
        names = list(map(_name, commands))
        uniform = names.count(names[0]) == len(names)  # the usual case
        calls = {names[0]: len(names)} if uniform else Counter(names)
        if not _MADE.isdisjoint(calls):
            calls = Counter(map(_asked, commands))
            calls.pop(b"", None)
        done = partial(self._on_done, calls, self._seconds(), on_done, commands, who)
        self._clients.submit(commands, done, size_bytes)

    def _on_done(
        self,
        calls: dict[bytes, int],
        began_s: float,
        on_done: Callable[[Outcome], None],
        commands: Sequence[Command],
        who: Callable[[int], Session] | None,
        outcome: Outcome,
    ) -> None:
        seconds = self._seconds() - began_s
        for name, times in calls.items():
            self._stats.answered(name, times, seconds, isinstance(outcome, Unavailable))
        if seconds >= self._slow.least_s and who is not None and not isinstance(outcome, Unavailable):
            self._slow.on_answered(commands, who, seconds)
        on_done(outcome)
