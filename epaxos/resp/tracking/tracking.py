"""Tells clients which copies of values to forget (CLIENT TRACKING; docs: using/clients).

A key is noted before its read is submitted, and a message comes behind the replies to whatever the client has
asked for by then.  So a client that keeps a copy gets a message behind it once a write is executed at or
after the read, wherever the two meet.  What was written is looked up in steps of its own: a message that
comes late is told in vain at worst, where a copy is newer than the write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from itertools import islice

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from epaxos.interfaces import Command, CommandInfo, IClients, IObserver
from epaxos.resp.interfaces import IClient, ITracking
from epaxos.resp.tracking.mode import Mode
from epaxos.resp.tracking.prefixes import Prefixes
from epaxos.resp.tracking.table import Table

__all__ = ["KEYS_MAX", "Tracking"]

KEYS_MAX = 1_000_000
"""Pairs of a key and a client that may have a copy of it, as Redis' `tracking-table-max-keys`.  Beyond them
the oldest keys are told as if they were written."""
KEY_BYTES_MAX = 512
"""Who reads a longer key is told to forget everything, at once, and so is who tracks by a prefix of it when
it is written."""
WAITING_NAMES_MAX = 1_000_000
"""Names that were written and are not looked up yet.  Beyond them everybody is told to forget everything."""
STEP_S = 0.003
"""About the seconds for which clients are told until other work runs."""
ROUND_NAMES = 1000
"""The most that is looked up until those who may have copies are told, and the most keys of a message to a
client, but for those that have several names."""
NAMES_PER_LOOK = 50
"""Names that are looked up between two looks at the clock."""

_FORGET = b">2\r\n$10\r\ninvalidate\r\n"
_FORGET_ALL = _FORGET + b"_\r\n"


class _Everything(frozenset):  # type: ignore[type-arg]
    """All names."""

    def isdisjoint(self, other: Iterable[object], /) -> bool:
        """Whether there are none in `other`."""
        return False


_EVERYTHING: frozenset[bytes] = _Everything()
_Keys = dict[bytes, "IClient | None"]
"""Keys, and who alone has written them: only a client that need not be told of it."""


@implementer(IObserver, ITracking)
class Tracking:
    """The clients of one replica that track.  `find(id)`: the client of this number, None when it has gone.

    `seconds`: a clock that never goes back.
    """

    def __init__(
        self,
        replica: IClients,
        clock: IReactorTime,
        seconds: Callable[[], float],
        find: Callable[[int], IClient | None],
    ) -> None:
        self._replica = replica
        self._clock = clock
        self._seconds = seconds
        self._find = find
        self._infos = {info.name.upper().encode(): info for info in replica.commands() if _reads_keys(info)}
        self._clients: dict[IClient, None] = {}
        self.table = Table()
        self.prefixes = Prefixes()
        self._waiting: deque[tuple[Iterator[bytes], IClient | None]] = deque()
        self._waiting_names = 0
        self._unkept: list[bytes] = []  # names that are told though nobody has written them
        self._freeing: deque[Iterator[None]] = deque()
        self._forgets_all = False
        self._writer: tuple[IClient, int] | None = None
        self._work: Iterator[None] = iter(())
        self._due: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._clients)

    # -- clients

    def start(self, client: IClient, mode: Mode) -> None:
        """See ITracking."""
        client.session.tracking = mode
        is_first = not self._clients
        self._clients[client] = None
        self.prefixes.add(client, mode.prefixes)
        if is_first:
            self._replica.executed.observe(self)

    def stop(self, client: IClient) -> None:
        """See ITracking."""
        mode, client.session.tracking = client.session.tracking, None
        if mode is not None:
            self.prefixes.discard(client, mode.prefixes)
            del self._clients[client]
            if not self._clients:
                self._replica.executed.forget(self)
                self._drop()

    def remember(self, client: IClient, database: int, command: Command) -> bool:
        """See ITracking."""
        mode = client.session.tracking
        if mode is None or not mode.remembers:
            return False
        info = self._infos.get(command[0].upper())
        if info is None:
            return False
        keys: Sequence[bytes]
        if info.finds_keys:
            keys = self._replica.keys_of(command)
        else:
            last = info.last_key if info.last_key > 0 else len(command) + info.last_key
            keys = command[info.first_key : last + 1 : info.key_step]
        names = keys
        if database:  # else no work is done for each key here, because there may be many
            name_of = self._replica.executed.name_of
            names = [name_of(database, key) for key in keys]
        self.table.add(client.session.client_id, names)
        if max(map(len, names), default=0) > KEY_BYTES_MAX:
            self._unkept += [name for name in names if len(name) > KEY_BYTES_MAX]
            self._wake()
        if self.table.places > KEYS_MAX:
            self._wake()
        return bool(names)

    def on_own_write(self, client: IClient) -> None:
        """See ITracking."""
        self._writer = (client, self._replica.executed.applied)

    # -- what was written

    @property
    def names(self) -> Set[bytes]:
        """See IObserver."""
        return _EVERYTHING if self.prefixes else self.table.names

    def on_written(self, names: Collection[bytes] | None, is_alone: bool) -> None:
        """See IObserver."""
        if names is None:
            self._forget_all()
            return
        self._waiting.append((iter(names), self._only_writer(is_alone)))
        self._waiting_names += len(names)
        if self._waiting_names > WAITING_NAMES_MAX:
            self._forget_all()
        self._wake()

    def _only_writer(self, is_alone: bool) -> IClient | None:
        """Who need not be told of a batch, because it holds nothing but what this client has asked for: its
        only submission is that which was answered just now."""
        writer, self._writer = self._writer, None
        if writer is None or not is_alone or writer[1] != self._replica.executed.applied:
            return None
        return writer[0]

    def on_quorum(self, is_there: bool) -> None:
        """See IObserver.  The others may execute what will be told too late."""
        if not is_there:
            self._forget_all()

    def on_end(self, why: str) -> None:
        """See IObserver.  At once, because the connections are closed next."""
        for client in list(self._clients):
            _tell(client, _FORGET_ALL)
        self._drop()

    # -- who is told

    def _forget_all(self) -> None:
        """Everybody is told to forget everything."""
        self._drop()
        self._forgets_all = True
        self._wake()

    def _drop(self) -> None:
        """Nobody has copies of anything."""
        self._waiting.clear()
        self._waiting_names = 0
        self._unkept.clear()
        self._forgets_all = False
        if self.table.places:
            self._freeing.append(self.table.clear())
            self._wake()

    def _wake(self) -> None:
        if self._due is None:
            self._due = self._clock.callLater(0, self._step)

    def _step(self) -> None:
        """Tell for about STEP_S seconds."""
        self._due = None
        ends_s = self._seconds() + STEP_S
        while True:
            for _ in self._work:
                if self._seconds() >= ends_s:
                    self._wake()
                    return
            work = self._next_work()
            if work is None:
                return
            self._work = work

    def _next_work(self) -> Iterator[None] | None:
        if self._forgets_all:
            self._forgets_all = False
            return self._tell_all()
        if not self._unkept and self.table.places > KEYS_MAX:
            self._unkept = self.table.oldest(ROUND_NAMES)
        if self._unkept:
            names, self._unkept = self._unkept, []
            return self._tell_unkept(names)
        if self._waiting:
            return self._tell_written(self._take())
        return self._freeing.popleft() if self._freeing else None

    def _tell_all(self) -> Iterator[None]:
        for client in list(self._clients):
            _tell(client, _FORGET_ALL)
            yield

    def _tell_unkept(self, names: Sequence[bytes]) -> Iterator[None]:
        found: dict[IClient, _Keys] = {}
        for number, name in enumerate(names):
            self._look_up(name, None, self._keys_named(name), found)
            if not number % NAMES_PER_LOOK:
                yield
        yield from _tell_found(found)

    def _take(self) -> list[tuple[bytes, IClient | None]]:
        """What is looked up next, with its only writer."""
        taken: list[tuple[bytes, IClient | None]] = []
        while self._waiting and len(taken) < ROUND_NAMES:
            names, writer = self._waiting[0]
            room = ROUND_NAMES - len(taken)
            part = list(islice(names, room))
            if len(part) < room:
                self._waiting.popleft()
            taken += [(name, writer) for name in part]
            self._waiting_names -= len(part)
        return taken

    def _tell_written(self, written: Iterable[tuple[bytes, IClient | None]]) -> Iterator[None]:
        found: dict[IClient, _Keys] = {}
        by_prefix: dict[bytes, _Keys] = {}
        for number, (name, writer) in enumerate(written):
            keys = self._keys_named(name)
            self._look_up(name, writer, keys, found)
            if self.prefixes:
                for key in keys:
                    for prefix in self.prefixes.of(key):
                        _note(by_prefix.setdefault(prefix, {}), key, writer)
            if not number % NAMES_PER_LOOK:
                yield
        yield from _tell_found(found)
        for prefix, keys_written in by_prefix.items():
            yield from self._tell_prefix(prefix, keys_written)

    def _keys_named(self, name: bytes) -> Sequence[bytes]:
        return self._replica.executed.keys_named(name)

    def _look_up(
        self, name: bytes, writer: IClient | None, keys: Sequence[bytes], found: dict[IClient, _Keys]
    ) -> None:
        """Add the keys of a name to what those are told who may have copies.  The only writer stays noted,
        because it may have read the key since."""
        for id in self.table.take(name):
            client = self._find(id)
            mode = None if client is None else client.session.tracking
            if client is None or mode is None or mode.is_broadcast:
                continue
            if client is writer:
                self.table.add(id, [name])
            else:
                found.setdefault(client, {}).update(dict.fromkeys(keys or (name,)))

    def _tell_prefix(self, prefix: bytes, keys: _Keys) -> Iterator[None]:
        """Tell those who track by a prefix.  They share the bytes, but for those that wrote some of it."""
        message = _message(keys)
        writers = set(keys.values())
        for client in self.prefixes.clients(prefix):
            if client in writers:
                others = [key for key, writer in keys.items() if writer is not client]
                if others:
                    _tell(client, _message(others))
            else:
                _tell(client, message)
            yield


def _reads_keys(info: CommandInfo) -> bool:
    """Whether clients may keep what the command reads: what Redis calls readonly, and scripts."""
    may_read = not info.writes or "scripting" in info.categories
    return may_read and "pubsub" not in info.categories and bool(info.first_key or info.finds_keys)


def _note(keys: _Keys, key: bytes, writer: IClient | None) -> None:
    keys[key] = writer if keys.get(key, writer) is writer else None


def _tell_found(found: dict[IClient, _Keys]) -> Iterator[None]:
    for client, keys in found.items():
        _tell(client, _message(keys))
        yield


def _message(keys: Collection[bytes]) -> bytes:
    if len(keys) == 1:  # the usual case
        (key,) = keys
        if len(key) <= KEY_BYTES_MAX:
            return b"%b*1\r\n$%d\r\n%b\r\n" % (_FORGET, len(key), key)
    if max(map(len, keys)) > KEY_BYTES_MAX:
        return _FORGET_ALL
    return b"%b*%d\r\n%b" % (
        _FORGET,
        len(keys),
        b"".join([b"$%d\r\n%b\r\n" % (len(key), key) for key in keys]),
    )


def _tell(client: IClient, message: bytes) -> None:
    """Only RESP3 has messages between replies."""
    session = client.session
    if session.tracking is not None and session.resp == 3:
        client.push(message)
