"""The keys as one command sees them: at one place in the order, at one time, in one database.

The time is that of the batch, which its leader has put in, so that all replicas see the same.  A key whose
deadline has come by then is gone.  Where the batch writes the key, it is removed here and now.  Where it only
reads it, nobody may say that it is gone, because a later command with an earlier time would see it again:
then `Due` is raised, and the command runs again behind the removal (docs: internals/expiry).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.composites import Owner, Place
from epaxos.interfaces.redis import WRONG_TYPE
from epaxos.statemachines.redis.fences import Fences
from epaxos.statemachines.redis.growing import Growing
from epaxos.statemachines.redis.marks import Marks
from epaxos.statemachines.redis.moment import Moment
from epaxos.statemachines.redis.names import DATABASES, name_of
from epaxos.statemachines.redis.script_table import ScriptTable
from epaxos.statemachines.redis.shared_settings import SharedSettings
from epaxos.statemachines.redis.telling import Change, Telling
from epaxos.statemachines.redis.user_table import UserTable
from epaxos.statemachines.redis.values import NOWHERE, Collection, Expiring, Stored, String, Value

if TYPE_CHECKING:
    from epaxos.statemachines.redis.shards import ShardedDict

__all__ = ["Again", "Due", "Keyspace", "Space"]

C = TypeVar("C", bound=Collection)


class Due(Exception):
    """The deadline of `key` has come, and this command may not remove the key."""

    def __init__(self, database: int, key: bytes, deadline_ms: int) -> None:
        super().__init__(key)
        self.database = database
        self.key = key
        self.deadline_ms = deadline_ms


class Again(Exception):
    """The command has had no effect, and runs again behind `first`."""

    def __init__(self, first: Command) -> None:
        super().__init__(first)
        self.first = first


class Savepoint(NamedTuple):
    """Where changes can be taken back to.  `is_first`: whether no other one was before."""

    length: int
    is_first: bool
    marks: int
    fences: dict[bytes, int]
    scripts: tuple[dict[bytes, bytes], int]
    said: int


class Keyspace:
    """The databases, and what has to know of every change of a key.

    `on_deadline(database, key, deadline_ms)`: a key got a deadline.  `on_gone(database, key)`: a key that had
    one was removed, but for those of a whole database.  `on_evicted(database, key)`: a key was removed for
    want of memory.  `on_exchange(first, second)`: two databases have changed places.  `journal`: after
    `savepoint`, the databases, keys and values before each change.  `on_expired(database, key)`: its deadline
    has ended a key, and somebody may hear of it.
    """

    def __init__(self, databases: list[ShardedDict[Stored]]) -> None:
        self.databases = databases
        self.has_objects = False
        """Whether a value may be anything but bytes."""
        self.discarded: list[dict[bytes, Any]] = []
        """What a flush has removed and nobody has freed yet."""
        self.marks = Marks()
        self.is_watched = False
        """Whether `on_change` has to be told of changes."""
        self.on_deadline: Callable[[int, bytes, int], None] = _nobody
        self.on_gone: Callable[[int, bytes], None] = _nobody
        self.on_exchange: Callable[[int, int], None] = _nobody
        self.journal: list[tuple[int, bytes | None, Any]] | None = None
        self.call: Callable[[Any, Space], Any] = _nobody_calls
        self.on_expired: Callable[[int, bytes], None] = _nobody
        self.on_evicted: Callable[[int, bytes], None] = _nobody
        self.fences, self.scripts = Fences(), ScriptTable()
        self.telling = Telling()
        self.table: dict[bytes, Any] = {}
        """The commands that run now, by their names in upper case."""
        self.settings, self.users = SharedSettings(), UserTable()

    # -- changes of keys

    def see_who_watches(self) -> None:
        """Somebody watches keys from now on, or nobody does."""
        self.is_watched = self.telling.is_recording or not self.marks.is_empty

    def on_change(self, database: int, key: bytes, was: bool, stays: bool) -> None:
        """A key changes: see Change."""
        self.marks.on_write(database, key)
        if self.telling.is_recording and (was or stays):
            self.telling.changes.append(Change(database, key, was, stays))

    # -- marks

    def watch(self, owner: Owner, places: Iterable[Place]) -> None:
        """See Marks."""
        self.marks.watch(owner, places)
        self.see_who_watches()

    def take_mark(self, owner: Owner, places: Iterable[Place] = ()) -> bool:
        """See Marks."""
        is_clean = self.marks.take(owner, places)
        self.see_who_watches()
        return is_clean

    def end_lives(self, replica: int, life: bytes) -> int:
        """See Marks."""
        ended = self.marks.end_lives(replica, life)
        self.see_who_watches()
        return ended

    def exchange(self, first: int, second: int) -> None:
        """Each of two databases holds from now on what the other one has held."""
        self.databases[first].exchange(self.databases[second])
        self.on_exchange(first, second)

    # -- changes that are taken back

    def savepoint(self) -> Savepoint:
        """Note what changes from now on, so that `back_to` can take it back.  One may be within another."""
        for data in self.databases:
            data.generation += 1  # so that no collection of before is changed in place
        is_first = self.journal is None
        if self.journal is None:
            self.journal = []
        if self.marks.journal is None:
            self.marks.journal = []
        marks = len(self.marks.journal)
        said = self.telling.place()
        return Savepoint(len(self.journal), is_first, marks, self.fences.copy(), self.scripts.mark(), said)

    def back_to(self, savepoint: Savepoint) -> None:
        """Take back every change since then, the last one first."""
        assert self.journal is not None
        while len(self.journal) > savepoint.length:
            number, key, before = self.journal.pop()
            data = self.databases[number]
            if isinstance(before, int):
                self.exchange(number, before)
            elif key is None:
                data.put_back(before)
            elif before is None:
                data.pop(key, None)
            else:
                data[key] = before
                if type(before) is tuple:
                    self.on_deadline(number, key, before[1])
        self.marks.back_to(savepoint.marks)
        self.see_who_watches()
        self.fences.put_back(savepoint.fences)
        self.scripts.put_back(savepoint.scripts)
        self.telling.go_back(savepoint.said)
        for data in self.databases:
            data.generation += 1

    def release(self, savepoint: Savepoint) -> None:
        """Let the changes since then stand, unless an earlier savepoint takes them back."""
        if savepoint.is_first:
            for number, key, before in self.journal or ():
                if key is None and not isinstance(before, int):
                    self.discarded += self.databases[number].left_of(before)
            self.journal = self.marks.journal = None


def _nobody(*_: Any) -> None:
    """Nobody looks after it."""


def _nobody_calls(command: Any, space: Space) -> Any:
    raise NotImplementedError


class Space:
    """The keys of one database at one moment.  Handlers of commands see nothing else."""

    __slots__ = ("_data", "database", "everything", "moment", "now_ms")

    def __init__(self, everything: Keyspace, moment: Moment, database: int = 0) -> None:
        self.everything = everything
        self._data = everything.databases[database]
        self.moment = moment
        self.now_ms = moment.now_ms
        self.database = database

    def in_database(self, number: int) -> Space:
        """The same moment in another database.  Raises CommandError when there is none of this number."""
        if number == self.database:
            return self
        if not 0 <= number < DATABASES:
            raise CommandError("ERR DB index is out of range")
        return Space(self.everything, self.moment, number)

    def call(self, command: Any) -> Reply | Growing:
        """Run another command of the table, which has passed `check`, here and now.

        Its error is a reply.  May raise Due, which the caller lets through.
        """
        reply: Reply | Growing = self.everything.call(command, self)
        return reply

    # -- reading

    def get(self, key: bytes) -> Value | None:
        """The value, None where there is none.  May raise Due."""
        stored = self._data.get(key)
        if isinstance(stored, tuple):
            if stored[1] > self.now_ms:
                return stored[0]
            self._remove_due(key, stored)
            return None
        return stored

    def string(self, key: bytes) -> String | None:
        """As `get`.  Raises CommandError for a value of another type."""
        value = self.get(key)
        if isinstance(value, Collection):
            raise CommandError(WRONG_TYPE)
        return value

    def typed(self, key: bytes, kind: type[C]) -> C | None:
        """As `get`.  Raises CommandError for a value that is not of this type."""
        value = self.get(key)
        if value is None or isinstance(value, kind):
            return value
        raise CommandError(WRONG_TYPE)

    def exists(self, key: bytes) -> bool:
        """Whether there is such a key.  May raise Due."""
        return self.get(key) is not None

    def deadline(self, key: bytes) -> int | None:
        """The deadline of a key that `get` has found, in milliseconds since 1970; None where it has none."""
        stored = self._data.get(key)
        return stored[1] if isinstance(stored, tuple) else None

    def due_at(self, key: bytes) -> int | None:
        """The deadline of a key, if it has come; None otherwise.  Raises nothing and removes nothing."""
        stored = self._data.get(key)
        return stored[1] if isinstance(stored, tuple) and stored[1] <= self.now_ms else None

    def size(self) -> int:
        """The number of keys, with those whose deadline has come and that are still there."""
        return len(self._data)

    def keys(self) -> list[bytes]:
        """All keys, as `size` counts them, in no order that means anything."""
        return [key for key, _ in self._data.entries()]

    @property
    def data(self) -> ShardedDict[Stored]:
        """The dictionary, for those who look for keys."""
        return self._data

    # -- writing

    def set(self, key: bytes, value: Value, deadline_ms: int | None = None) -> None:
        """A new value, with this deadline or without any.  A deadline that has come removes the key."""
        if deadline_ms is None:
            self._store(key, value)
        elif deadline_ms <= self.now_ms:
            self.pop(key)
        else:
            self._store(key, (value, deadline_ms))
            self.everything.on_deadline(self.database, key, deadline_ms)

    def put(self, key: bytes, value: Value) -> None:
        """A new value; the deadline stays as it is."""
        old = self._data.get(key)
        if isinstance(old, tuple) and old[1] > self.now_ms:
            self._store(key, (value, old[1]))
        else:
            self._store(key, value)

    def pop(self, key: bytes) -> Value | None:
        """Remove the key; the value that it had, None where there was none.  May raise Due."""
        value = self.get(key)
        if value is not None:
            self._store(key, None)
        return value

    def expire(self, key: bytes, deadline_ms: int | None) -> None:
        """Give a key that `get` has found another deadline, or none.  One that has come removes the key."""
        value = self.get(key)
        if value is not None:
            self.set(key, value, deadline_ms)

    def own(self, key: bytes, kind: type[C]) -> C:
        """The collection of this key, to be changed; a new one, which is not kept before `keep` is called,
        where there is none.  Raises CommandError for a value of another type.

        Whoever changes it calls `keep` afterwards.  A collection that a snapshot, or the journal, may have as
        well is copied here.
        """
        generation = self._data.generation
        stored = self._data.get(key)
        if type(stored) is kind and stored.generation == generation:  # no more than that, mostly
            return stored
        value = self.typed(key, kind)
        if value is None:
            return kind()
        if value.generation == generation:
            return value
        copied = value.copy()
        assert isinstance(copied, kind)
        return copied

    def keep(self, key: bytes, value: Collection) -> None:
        """`value`, which `own` gave for this key, has been changed, and has elements: keep it.  The deadline
        stays as it is."""
        if value.generation != self._data.generation:
            self.put(key, value)
            value.generation = self._data.generation
        elif self.everything.is_watched:
            self.everything.on_change(self.database, key, True, True)

    def keep_rest(self, key: bytes, value: Collection) -> None:
        """As `keep`, after elements were removed: a collection without elements is removed."""
        if len(value):
            self.keep(key, value)
        else:
            self._store(key, None)

    def clear(self) -> None:
        """Remove all keys of this database."""
        everything = self.everything
        if everything.is_watched:
            for number, key in everything.marks.places():
                if number == self.database and key in self._data:
                    everything.marks.on_write(number, key)
        if everything.journal is not None:
            everything.journal.append((self.database, None, self._data.take_away()))
        else:
            everything.discarded += self._data.clear()

    def swap(self, first: int, second: int) -> None:
        """Exchange two databases, at once.  A key that is in one of them changes in both for who watches."""
        everything = self.everything
        one, other = everything.databases[first], everything.databases[second]
        if everything.is_watched:
            for number, key in everything.marks.places():
                if number in (first, second) and (key in one or key in other):
                    everything.marks.on_write(number, key)
        if everything.journal is not None:
            everything.journal.append((first, None, second))
        everything.exchange(first, second)

    def remove_due(self, key: bytes, deadline_ms: int) -> bool:
        """Remove the key if exactly this deadline stands, whatever the time is.  Whether it was so."""
        stored = self._data.get(key)
        if not isinstance(stored, tuple) or stored[1] != deadline_ms:
            return False
        self._store(key, None, is_end=True)
        return True

    def _remove_due(self, key: bytes, stored: Expiring) -> None:
        if name_of(self.database, key) not in self.moment.writes:
            raise Due(self.database, key, stored[1])
        self._store(key, None)

    def _note(self, key: bytes, stays: bool, is_end: bool) -> None:
        """A key is about to change; `is_end`: because its deadline has ended it, whatever the time is."""
        everything, old = self.everything, self._data.get(key)
        if type(old) is tuple and (is_end or old[1] <= self.now_ms):
            old = None
            if everything.telling.is_recording:
                everything.on_expired(self.database, key)
        everything.on_change(self.database, key, old is not None, stays)

    def _store(self, key: bytes, stored: Stored | None, is_end: bool = False) -> None:
        everything, data = self.everything, self._data
        if everything.journal is not None:
            everything.journal.append((self.database, key, data.get(key)))
        if everything.is_watched:
            self._note(key, stored is not None, is_end)
        if stored is None:
            if type(data.pop(key, None)) is tuple:
                everything.on_gone(self.database, key)
            return
        if type(stored) is not bytes:
            everything.has_objects = True
            value = stored[0] if isinstance(stored, tuple) else stored
            if isinstance(value, Collection):
                value.generation = NOWHERE  # it may come from another key, or from another database
        data[key] = stored
