"""The commands of one connection that write take effect in the order in which they were sent.

Batches that do not interfere run in any order, and one that is only decided may still come after another one
that was proposed later.  So a submission waits here until the writes before it are answered, which is when
they have run.  What waits together goes on together, as one batch.

A command that only reads one key waits for nothing, as long as nothing waits, and what is under way writes
other keys: those writes may take effect after it.  To keep these in order, too, would take an instance for
each of them (docs: concepts/consistency).  What is under way and may write its key holds it back, because a
batch may be recovered as nothing, or its commands run again in a later one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import NamedTuple
from weakref import WeakKeyDictionary

from epaxos.interfaces import Command, IClients, Outcome, Unavailable

__all__ = ["COMMANDS_TOGETHER", "Order"]

COMMANDS_TOGETHER = 1000
"""Commands of one connection that are submitted together, at most."""
BEHIND_A_FAILURE = Unavailable(
    "CLUSTERDOWN a command that was sent before this one has failed; the command was not run", False
)
"""What becomes of commands that waited for one that failed: it may have run, may still run, or never."""

_NOTHING: tuple[Sequence[Command], frozenset[bytes] | None] = ((), frozenset())
_name, _key = itemgetter(0), itemgetter(1)
_of_one_key: WeakKeyDictionary[IClients, frozenset[bytes]] = WeakKeyDictionary()


def _names_of_one_key(clients: IClients) -> frozenset[bytes]:
    """The names of the commands whose only key is their first argument, in upper case."""
    names = _of_one_key.get(clients)
    if names is None:
        names = _of_one_key[clients] = frozenset(
            info.name.upper().encode()
            for info in clients.commands()
            if info.first_key == info.last_key == 1
            and abs(info.arity) > 1  # else the key may be left out
            and not (info.finds_keys or info.is_barrier)
        )
    return names


class _Held(NamedTuple):
    commands: Sequence[Command]
    on_done: Callable[[Outcome], None]
    size_bytes: int


class Order:
    """Hands the commands of one connection to `clients`, in their order.

    `submit` does all of it.  Somebody who submits the commands of several connections together does so while
    nothing has `begun`, sets `begun` for each of them, and calls `end` when they are answered.

    `hand_in`: what takes the commands instead of `clients.submit`.
    """

    __slots__ = ("_clients", "_hand_in", "_held", "_written", "begun")

    def __init__(self, clients: IClients, hand_in: Callable[..., None] | None = None) -> None:
        self._clients = clients
        self._hand_in: Callable[..., None] = hand_in or clients.submit
        self.begun: Sequence[Command] | None = None
        """The last commands that may write, and are not answered; None while nothing is under way."""
        self._written: tuple[Sequence[Command], frozenset[bytes] | None] = _NOTHING  # by which commands
        self._held: deque[_Held] = deque()

    def end(self, commands: Sequence[Command], outcome: Outcome) -> None:
        """What has `begun` is answered: what waited for it goes on, or fails as well."""
        if self.begun is commands:
            self.begun = None
            self._written = _NOTHING
            if self._held:
                self._after(outcome)

    def submit(
        self, commands: Sequence[Command], on_done: Callable[[Outcome], None], size_bytes: int
    ) -> None:
        """Submit commands, COMMANDS_TOGETHER at most, once they may run.  `on_done` is called as by
        IClients, and also after the client has left."""
        held = _Held(commands, on_done, size_bytes)
        if self.begun is None or (not self._held and self._only_read(self.begun)):
            self.begun = commands
            self._submit(commands, [held])
        elif not self._held and self._only_read(commands) and self._may_pass(commands):
            self._submit(commands, [held])
        else:
            self._held.append(held)

    def _only_read(self, commands: Sequence[Command]) -> bool:
        return all(map(self._clients.is_read, set(map(_name, commands))))

    def _may_pass(self, reads: Sequence[Command]) -> bool:
        """Whether what is under way is known to write none of the keys of `reads`."""
        begun, written = self._written
        if begun is not self.begun:
            begun = self.begun or ()
            written = self._find_written(begun)
            self._written = (begun, written)
        return written is not None and written.isdisjoint(map(_key, reads))

    def _find_written(self, commands: Sequence[Command]) -> frozenset[bytes] | None:
        """The keys that `commands` write; None where they are not simply the first arguments."""
        names = set(map(_name, commands))
        reads = set(filter(self._clients.is_read, names))
        if not set(map(bytes.upper, names - reads)) <= _names_of_one_key(self._clients):
            return None
        return frozenset(
            map(_key, [each for each in commands if each[0] not in reads] if reads else commands)
        )

    def _after(self, outcome: Outcome) -> None:
        if isinstance(outcome, Unavailable):
            failed, self._held = self._held, deque()
            for _, on_done, _ in failed:
                on_done(BEHIND_A_FAILURE)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Submit together what waits."""
        held = self._held
        together = [held.popleft()]
        count = len(together[0].commands)
        while held and count + len(held[0].commands) <= COMMANDS_TOGETHER:
            count += len(held[0].commands)
            together.append(held.popleft())
        commands = self.begun = list(chain.from_iterable([each.commands for each in together]))
        self._submit(commands, together)

    def _submit(self, commands: Sequence[Command], together: list[_Held]) -> None:
        size_bytes = sum([each.size_bytes for each in together])
        self._hand_in(commands, partial(self._on_done, commands, together), size_bytes)

    def _on_done(self, commands: Sequence[Command], together: list[_Held], outcome: Outcome) -> None:
        start = 0
        try:
            for own, on_done, _ in together:
                end = start + len(own)
                on_done(outcome if isinstance(outcome, Unavailable) else outcome[start:end])
                start = end
        finally:
            self.end(commands, outcome)
