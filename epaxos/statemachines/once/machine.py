"""Sessions around any state machine: what a client numbers runs exactly once (docs: using/exactly-once).

Batches without a command of a session go through as they are.  A batch with one is an envelope, whose parts
run in order.  A command with a number gets its reply at every replica, wanted or not, and when it runs again
after a restart, because the reply that is kept is a part of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from zope.interface import alsoProvides, implementer

from epaxos.interfaces import (
    Command,
    CommandInfo,
    IComposites,
    ICountsByDatabase,
    ICountsKeys,
    IReadsBefore,
    IReplays,
    IRestoresInParts,
    ISeesElements,
    IStateMachine,
    IStepwise,
    ITellsKeys,
    IVersioned,
    Ready,
    Reply,
    RunAgain,
    Steps,
)
from epaxos.interfaces.memory import IBounded, IMemoryBound
from epaxos.interfaces.users import IHasUsers, IUserTable
from epaxos.interfaces.versions import needs_upgrade
from epaxos.protocol.values.membership import VERSION
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.once.commands import SPELLINGS, Begin, Once, parse
from epaxos.statemachines.once.envelope import MARK, Kind, Part, decode_parts, encode_parts
from epaxos.statemachines.once.keys import PREFIX, entries_of_all, take_sessions
from epaxos.statemachines.once.sessions import Sessions
from epaxos.statemachines.steps import replies_of

__all__ = ["ExactlyOnce"]

PARTS_PER_STEP = 32
"""Parts of an envelope that run in a step, because each takes about 20 microseconds."""

SINCE = 2
"""The first version that has sessions."""

_name = itemgetter(0)


@implementer(IStepwise, IRestoresInParts, IVersioned)
class ExactlyOnce:
    """`machine` with sessions; it provides what is optional if `machine` does.

    `inside`: `machine`.  `stepwise`: `machine`, or what lets it be driven step by step.  `new_id()`: the id
    of a new session, which nobody can guess.  `now_s()`: seconds since 1970; what the proposer's clock says
    is a part of its batch.
    """

    def __init__(
        self,
        machine: IStateMachine,
        stepwise: IStepwise,
        new_id: Callable[[], bytes],
        now_s: Callable[[], float],
    ) -> None:
        self.inside = self._machine = machine
        self._stepwise = stepwise
        self._new_id = new_id
        self._now_s = now_s
        self._sessions = Sessions()
        self._version = VERSION
        self._is_met = False  # whether a command of a session has passed `check`
        for optional in (
            ICountsByDatabase,
            ICountsKeys,
            IReadsBefore,
            ITellsKeys,
            ISeesElements,
            IComposites,
            IBounded,
            IHasUsers,
        ):
            if optional.providedBy(machine):
                alsoProvides(self, optional)
        inside: Any = machine
        self.users: IUserTable | None = inside.users if IHasUsers.providedBy(machine) else None
        """See IHasUsers."""

    # -- what clients may ask

    def check(self, command: Command) -> None:
        """See IStateMachine."""
        if command[0] not in SPELLINGS:
            self._machine.check(command)
            return
        asked = parse(command)
        if self._version < SINCE:
            raise needs_upgrade(f"epaxos|{command[1].decode().lower()}", SINCE, self._version)
        if isinstance(asked, Once):
            self._machine.check(asked.command)
        self._is_met = True

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IStateMachine."""
        return name not in SPELLINGS and self._machine.is_valid_shape(name, length)

    def commands(self) -> Sequence[CommandInfo]:
        """See IStateMachine."""
        return self._machine.commands()

    def is_read(self, name: bytes) -> bool:
        """See IStateMachine."""
        return name not in SPELLINGS and self._machine.is_read(name)

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        return self._machine.read(commands)

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        """See IStepwise."""
        return self._stepwise.read_in_steps(commands)

    def read_before(self, command: Command, batch: Batch) -> Reply:
        """See IReadsBefore.  Of an envelope, the part counts that writes what is read."""
        machine: Any = self._machine
        if batch.payload.startswith(MARK):
            keys = frozenset(machine.batch([command]).reads)
            insides = [part.inside for part in decode_parts(batch)[1] if part.inside.commands]
            writing = [one for one in insides if one.barrier or not keys.isdisjoint(one.writes)]
            if not writing:  # a session has the name of what is read
                plain: Reply = machine.read([command])[0]
                return plain
            batch = writing[0]
        reply: Reply = machine.read_before(command, batch)
        return reply

    def keys(self) -> int:
        """See ICountsKeys.  A session is no key."""
        machine: Any = self._machine
        return int(machine.keys())

    def keyspace(self) -> Mapping[int, tuple[int, int]]:
        """See ICountsByDatabase."""
        machine: Any = self._machine
        found: Mapping[int, tuple[int, int]] = machine.keyspace()
        return found

    def keys_of(self, command: Command) -> Sequence[bytes]:
        """See ITellsKeys.  A command of a session names those of the command inside."""
        machine: Any = self._machine
        if command[0] in SPELLINGS:
            asked = parse(command)
            if not isinstance(asked, Once):
                return ()
            command = asked.command
        found: Sequence[bytes] = machine.keys_of(command)
        return found

    def elements(self, database: int, command: Command, key: bytes) -> int:
        """See ISeesElements."""
        machine: Any = self._machine
        return int(machine.elements(database, command, key))

    @property
    def databases(self) -> int:
        """See IComposites."""
        machine: Any = self._machine
        return int(machine.databases)

    def name_of(self, database: int, key: bytes) -> bytes:
        """See IComposites."""
        machine: Any = self._machine
        name: bytes = machine.name_of(database, key)
        return name

    def keys_named(self, name: bytes) -> Sequence[bytes]:
        """See IComposites.  The id of a session is a secret."""
        if name.startswith(PREFIX):
            return ()
        machine: Any = self._machine
        keys: Sequence[bytes] = machine.keys_named(name)
        return keys

    @property
    def bound(self) -> IMemoryBound:
        """See IBounded."""
        machine: Any = self._machine
        return IMemoryBound(machine.bound)

    def idle(self, before_s: int, count: int) -> list[tuple[bytes, int]]:
        """See Sessions.  None while their end could not be proposed."""
        return self._sessions.idle(before_s, count) if self._version >= SINCE else []

    # -- batches

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        if self._is_met and not SPELLINGS.isdisjoint(map(_name, commands)):
            return encode_parts(list(self._parts(commands)), int(self._now_s()))
        batch = self._machine.batch(commands)
        if batch.payload.startswith(MARK):  # what another state machine may make of its commands
            return encode_parts([Part(Kind.COMMANDS, batch)], 0)
        return batch

    def _parts(self, commands: Sequence[Command]) -> Iterator[Part]:
        """The commands as parts: those without a number that stand together are one."""
        plain: list[Command] = []
        for command in commands:
            if command[0] not in SPELLINGS:
                plain.append(command)
                continue
            if plain:
                yield Part(Kind.COMMANDS, self._machine.batch(plain))
                plain = []
            yield _part_of(command, self._machine, self._new_id)
        if plain:
            yield Part(Kind.COMMANDS, self._machine.batch(plain))

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """See IStateMachine."""
        return [replies_of(self.apply_in_steps(one)) for one in ready]

    def apply_in_steps(self, ready: Ready) -> Steps:
        """See IStepwise."""
        if ready.batch.payload.startswith(MARK):
            return _run(self._sessions, self._stepwise.apply_in_steps, ready)
        return self._stepwise.apply_in_steps(ready)

    # -- the whole state

    def on_version(self, version: int) -> None:
        """See IVersioned."""
        self._version = version
        if IVersioned.providedBy(self._machine):
            IVersioned(self._machine).on_version(version)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        return entries_of_all(self._sessions.entries(), self._machine.entries())

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine."""
        self.restore_in_parts([entries], ready)

    def restore_in_parts(self, parts: Iterable[dict[bytes, bytes]], ready: Iterable[Ready]) -> None:
        """See IRestoresInParts.

        The batches up to the first envelope are restored by the state machine inside; those behind it are
        replayed, because the replies of some of them are wanted.
        """
        machine, rest = self._machine, iter(ready)
        envelopes: list[Ready] = []
        theirs, first = _take_sessions(parts, self._sessions), _until_envelope(rest, envelopes)
        if IRestoresInParts.providedBy(machine):
            machine.restore_in_parts(theirs, first)
        else:
            entries: dict[bytes, bytes] = {}
            for part in theirs:
                entries.update(part)
            machine.restore(entries, first)
        again = _replayer(machine, self._stepwise)
        for one in chain(envelopes, rest):
            is_envelope = one.batch.payload.startswith(MARK)
            replies_of(_run(self._sessions, again, one) if is_envelope else again(one))


# Generators stand outside of classes, because mypyc compiles none inside a decorated class.


def _take_sessions(parts: Iterable[dict[bytes, bytes]], sessions: Sessions) -> Iterator[dict[bytes, bytes]]:
    """The parts without the entries of sessions, which are restored."""
    for part in parts:
        sessions.restore(take_sessions(part))
        yield part


def _until_envelope(ready: Iterator[Ready], envelopes: list[Ready]) -> Iterator[Ready]:
    """The batches before the first envelope, which goes to `envelopes`."""
    for one in ready:
        if one.batch.payload.startswith(MARK):
            envelopes.append(one)
            return
        yield one


def _replayer(machine: IStateMachine, stepwise: IStepwise) -> Callable[[Ready], Steps]:
    """What applies a batch that was applied before."""
    if not IReplays.providedBy(machine):
        return stepwise.apply_in_steps
    replay = machine.replay
    return lambda ready: iter((replay(ready),))


def _run(sessions: Sessions, apply: Callable[[Ready], Steps], ready: Ready) -> Steps:
    """Run an envelope: None between two steps, then the replies if they are wanted, then tidying.

    `apply`: how the state machine inside applies a batch.
    """
    now_s, parts = decode_parts(ready.batch)
    replies: list[Reply] = []
    tidying: list[Steps] = []
    for count, (kind, inside, session, number, acked, uses) in enumerate(parts, 1):
        if kind is Kind.COMMANDS:
            steps = apply(Ready(ready.id, inside, ready.wanted))
            replies += yield from _whole(steps, tidying)
        elif kind is Kind.ONCE:
            answers = sessions.answer(session, number, acked, now_s)
            if not answers:
                steps = apply(Ready(ready.id, inside, True, True))
                (answer,) = answers = yield from _whole(steps, tidying)
                if type(answer) is not RunAgain:  # it has done nothing, and comes again with its number
                    sessions.keep(session, number, answer)
            replies += answers
        elif kind is Kind.BEGIN:
            replies.append(sessions.begin(session, now_s))
        else:
            replies.append(sessions.end(session, uses))
        if count % PARTS_PER_STEP == 0:
            yield None
    yield replies if ready.wanted else ()
    for steps in tidying:
        yield from (None for _ in steps)


def _whole(steps: Steps, tidying: list[Steps]) -> Generator[None, None, Sequence[Reply]]:
    """None between the steps of one batch; returns its replies.  What is left to tidy goes to `tidying`."""
    for replies in steps:
        if replies is not None:
            tidying.append(steps)
            return replies
        yield None
    raise ValueError("a batch was applied without replies")


def _part_of(command: Command, machine: IStateMachine, new_id: Callable[[], bytes]) -> Part:
    """The part of a command of a session."""
    asked = parse(command)
    if isinstance(asked, Once):
        inside = machine.batch([asked.command])
        return Part(Kind.ONCE, inside, asked.session, asked.number, asked.acked)
    if isinstance(asked, Begin):
        return Part(Kind.BEGIN, session=new_id())
    return Part(Kind.END, session=asked.session, uses=asked.uses)
