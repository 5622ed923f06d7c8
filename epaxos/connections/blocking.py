"""Clients that wait for elements (BLPOP and the like), and when their commands are submitted again.

A pop is a command like any other one, and answers nothing where there is nothing.  Then its client waits
here, in a queue for each key, until an executed batch has written one of its keys, and the pop is submitted
again: for no more clients than there are elements, so nobody asks in vain while nothing is there.  Where
replicas race for an element, the losers go on waiting at their old place.

Whoever waits for a key gets the elements of that key in the order in which they came.  So what a pop brings
goes to the first client that waits with the same command, whoever's pop it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence, Set
from functools import partial
from itertools import islice
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from epaxos.interfaces import (
    Command,
    CommandError,
    IClients,
    IObserver,
    NilArray,
    Outcome,
    Reply,
    Unavailable,
)

__all__ = ["Blocked", "Done", "Submit", "Wish"]

LOOKED_AT_MAX = 500
"""Clients and names that are looked at until other work runs: about a millisecond."""
PAUSE_S = 0.05
"""Seconds until it is looked again whether a pause is over."""
LOOK_AGAIN_S = 0.001
"""Seconds until it is looked again whether the batch that is applied in part is whole."""
FOREVER_S = 1e9
"""A longer timeout is none."""
FORCED = CommandError(
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)
"""What a client is told when nobody tells this replica what is written any more."""

Submit = Callable[[Sequence[Command], Callable[[Outcome], None], int], None]
"""As `IClients.submit`."""
Done = Callable[[Sequence[Reply]], None]
"""Gets the reply; none where the client has gone."""


class Wish(NamedTuple):
    """A command, and what its client waits for while it answers nothing.

    `command` is submitted; `asked` is the same as the client has sent it, in `database`.  It waits for
    elements at `keys`.  `kind`: clients of one kind share the elements of a key; None: this one shares with
    nobody, because it takes nothing.  `same`: commands for which this is equal can take what
    the others have popped; None: no other one can.
    """

    command: Command
    database: int
    asked: Command
    keys: Sequence[bytes]
    kind: Hashable | None
    same: Hashable | None


class _Pop:
    """A command under way, and who gets what it brings."""

    __slots__ = ("waiter",)

    def __init__(self, waiter: _Waiter) -> None:
        self.waiter = waiter


class _Waiter:
    """A client that waits.

    `names`: of the keys, each once.  `size_bytes`: of its command.  `pop`: its command under way.  `is_due`:
    there was something for it meanwhile, so if the command brings nothing it is looked at once more.
    `ending`: what it is told as soon as nothing of it is under way, unless that brings something; empty when
    it has gone.
    """

    __slots__ = ("client", "done", "ending", "is_due", "is_over", "names", "pop", "size_bytes", "timeout",
                 "wish")  # fmt: skip

    def __init__(
        self, client: int, wish: Wish, names: dict[bytes, bytes], done: Done, size_bytes: int
    ) -> None:
        self.client = client
        self.wish = wish
        self.names = names
        self.done = done
        self.size_bytes = size_bytes
        self.pop: _Pop | None = None
        self.is_due = False
        self.is_over = False
        self.ending: Sequence[Reply] | None = None
        self.timeout: IDelayedCall | None = None

    @property
    def has_gone(self) -> bool:
        """Whether nobody takes its reply."""
        return self.ending is not None and not self.ending


@implementer(IObserver)
class Blocked:
    """The clients of one replica that wait, by their numbers.

    `is_paused()`: whether nothing may be submitted for those that have waited.
    """

    def __init__(
        self, clients: IClients, clock: IReactorTime, is_paused: Callable[[], bool] = lambda: False
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._is_paused = is_paused
        self._waiters: dict[int, _Waiter] = {}
        self._queues: dict[bytes, dict[Hashable, dict[_Waiter, None]]] = {}  # by names, then by kinds
        self._written: OrderedDict[bytes, None] = OrderedDict()  # names to look at
        """A plain dict looks for its first name behind all that were taken from it."""
        self._looking: Iterator[None] | None = None
        self._look_due: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, client: int) -> bool:
        return client in self._waiters

    # -- who waits

    def wait(
        self, client: int, wish: Wish, submit: Submit, done: Done, timeout_s: float, size_bytes: int
    ) -> None:
        """Let `submit` run the command, and wait while it finds nothing.

        `timeout_s`: 0 for no end.  `done` is called once, never before this returns.  A client that waits
        already must not wait for something else.
        """
        executed = self._clients.executed
        if not self._waiters:
            executed.observe(self)
        names = {executed.name_of(wish.database, key): key for key in wish.keys}
        waiter = self._waiters[client] = _Waiter(client, wish, names, done, size_bytes)
        for name in names:
            self._queues.setdefault(name, {}).setdefault(wish.kind, {})[waiter] = None
        if 0 < timeout_s < FOREVER_S:
            waiter.timeout = self._clock.callLater(timeout_s, self._end, waiter, [NilArray()])
        self._submit(waiter, submit)

    def unblock(self, client: int, reply: Reply) -> bool:
        """Tell a client this reply, unless its command brings something.  Whether it waits."""
        waiter = self._waiters.get(client)
        if waiter is None or waiter.has_gone:
            return False
        self._end(waiter, [reply])
        return True

    def leave(self, client: int) -> None:
        """The client has gone.  What its command under way brings goes to another one that waits."""
        waiter = self._waiters.get(client)
        if waiter is not None:
            self._end(waiter, ())

    def _end(self, waiter: _Waiter, ending: Sequence[Reply]) -> None:
        if not waiter.has_gone:
            waiter.ending = ending
        if waiter.pop is None:
            self._finish(waiter, ending)

    def _finish(self, waiter: _Waiter, replies: Sequence[Reply]) -> None:
        waiter.is_over = True
        if waiter.timeout is not None and waiter.timeout.active():
            waiter.timeout.cancel()
        for name in waiter.names:
            kinds = self._queues[name]
            queue = kinds[waiter.wish.kind]
            del queue[waiter]
            if not queue:
                del kinds[waiter.wish.kind]
                if not kinds:
                    del self._queues[name]
        del self._waiters[waiter.client]
        if not self._waiters:
            self._clients.executed.forget(self)
        waiter.done(replies)

    # -- commands under way

    def _submit(self, waiter: _Waiter, submit: Submit) -> None:
        pop = waiter.pop = _Pop(waiter)
        waiter.is_due = False
        submit([waiter.wish.command], partial(self._on_outcome, pop), waiter.size_bytes)

    def _on_outcome(self, pop: _Pop, outcome: Outcome) -> None:
        waiter = pop.waiter
        waiter.pop = None
        if waiter.is_over:
            return
        if isinstance(outcome, Unavailable):
            self._finish(waiter, [CommandError(str(outcome))])
            self._look_at(waiter.names)  # whoever is behind it
            return
        reply = outcome[0]
        if reply is None or isinstance(reply, NilArray):
            self._go_on(waiter)
            return
        taker = waiter if isinstance(reply, CommandError) else self._taker(waiter)
        if taker is not waiter:
            waiter.pop, taker.pop = taker.pop, None
            if waiter.pop is not None:
                waiter.pop.waiter = waiter
        self._finish(taker, [reply])
        if taker is not waiter and waiter.pop is None:
            self._go_on(waiter)

    def _go_on(self, waiter: _Waiter) -> None:
        """Nothing is under way for it any more: it ends, or waits."""
        if waiter.ending is not None:
            self._finish(waiter, waiter.ending)
        elif waiter.is_due:
            self._look_at(waiter.names)

    def _taker(self, waiter: _Waiter) -> _Waiter:
        """Who gets what a pop of `waiter` has brought: the first who waits with the same command.

        A client that has been told to end keeps it, because it ends now.
        """
        same = waiter.wish.same
        if same is None or not (waiter.ending is None or waiter.has_gone):
            return waiter
        for other in self._queues[next(iter(waiter.names))][waiter.wish.kind]:
            if other.wish.same == same and not other.has_gone:
                return other
        return waiter

    # -- what was written

    @property
    def names(self) -> Set[bytes]:
        """See IObserver."""
        return self._queues.keys()

    def on_written(self, names: Collection[bytes] | None, is_alone: bool) -> None:
        """See IObserver."""
        self._look_at(self._queues if names is None else names)

    def on_quorum(self, is_there: bool) -> None:
        """See IObserver.  Who waits goes on waiting."""

    def on_end(self, why: str) -> None:
        """See IObserver."""
        for waiter in list(self._waiters.values()):
            if not waiter.is_over:
                self._finish(waiter, () if waiter.has_gone else [FORCED])

    def _look_at(self, names: Collection[bytes]) -> None:
        """There may be something at these names."""
        self._written.update((name, None) for name in names if name in self._queues)
        if self._look_due is None and self._written:
            self._look()

    def _look(self) -> None:
        """Look at clients and names for about a millisecond, and go on with the others after that."""
        self._look_due = None
        if self._is_paused():
            self._look_due = self._clock.callLater(PAUSE_S, self._look)
            return
        looking, self._looking = self._looking or self._serve_all(), None
        for count, _ in enumerate(looking, 1):
            if count >= LOOKED_AT_MAX:
                self._looking = looking
                break
        if self._looking is not None:
            self._look_due = self._clock.callLater(0, self._look)
        elif self._written:
            self._look_due = self._clock.callLater(LOOK_AGAIN_S, self._look)

    def _serve_all(self) -> Iterator[None]:
        """Serve who waits for what was written; None after each client, each kind and each name.  Ends early
        while a batch is applied in part, because nobody may look at the state then."""
        while self._written:
            name, _ = self._written.popitem(last=False)
            for kind, queue in list(self._queues.get(name, {}).items()):
                first = next(iter(queue), None)
                elements = 0 if first is None else self._elements(first, name)
                if elements is None:
                    self._written[name] = None
                    return
                for waiter in list(queue if kind is None else islice(queue, elements)):
                    if not waiter.is_over and (kind is not None or self._elements(waiter, name) != 0):
                        self._serve(waiter)
                    yield
                yield
            yield

    def _elements(self, waiter: _Waiter, name: bytes) -> int | None:
        wish = waiter.wish
        return self._clients.executed.elements(wish.database, wish.asked, waiter.names[name])

    def _serve(self, waiter: _Waiter) -> None:
        """There is something for this one."""
        if waiter.pop is None:
            self._submit(waiter, self._clients.submit)
        else:
            waiter.is_due = True
