"""The state machine that replicated commands act on, and what it may provide beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Union

from zope.interface import Attribute, Interface

from epaxos.interfaces.commands import Command, CommandInfo, Reply
from epaxos.interfaces.time import IClusterClock
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = [
    "IComposites",
    "ICountsByDatabase",
    "ICountsKeys",
    "IExpires",
    "IReadsBefore",
    "IReplays",
    "IRestoresInParts",
    "ISeesElements",
    "IStateMachine",
    "IStateMachineFactory",
    "IStepwise",
    "ITellsKeys",
    "ITimed",
    "IVersioned",
    "Ready",
    "Steps",
]


class Ready(NamedTuple):
    """An instance to apply now.  `wanted`: whether a client of this replica waits for its replies.

    `kept`: whether its replies become a part of the state, so that they have to be the same at every replica.
    Other replies may tell a client of this replica what only this one knows.
    """

    id: InstanceId
    batch: Batch
    wanted: bool
    kept: bool = False


Steps = Iterator[Union["Sequence[Reply]", None]]
"""Work that is done step by step: yields None after each step, and the replies when all is done."""


class IStateMachine(Interface):
    """What replicated commands act on.

    Deterministic: the same batches in the same order give the same state and the same replies at every
    replica.  All calls come from one thread; `entries` may be iterated over in another.
    """

    def check(command: Command) -> None:
        """Raise CommandError when `command` can never be run: it is unknown, or its arguments are wrong.

        A command that passes may be given to `batch`.
        """

    def is_valid_shape(name: bytes, length: int) -> bool:
        """Whether `check` passes every command that is called exactly `name` and has `length` elements, the
        name included.  False is always allowed: then `check` is asked for each command, which takes time."""

    def commands() -> Sequence[CommandInfo]:
        """The commands that are served."""

    def is_read(name: bytes) -> bool:
        """Whether commands of this name that pass `check` read the one key that is their first argument,
        and do nothing else.

        Such commands are not replicated: they are given to `read` when a client waits for them, and to
        `batch` and `apply` only together with commands that write the same key.
        """

    def read(commands: Sequence[Command]) -> Sequence[Reply]:
        """Run one or more commands for which `is_read` is true on the present state.  One reply for each."""

    def batch(commands: Sequence[Command]) -> Batch:
        """The commands, each of which has passed `check`, as one batch: the keys that they write, the keys
        that they only read, and a payload that only `apply` has to understand."""

    def apply(ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """Apply the batches in order.  The replies of each batch: one for each command, or an empty
        sequence where they are not wanted.

        Raises ValueError for a payload that this version cannot understand: the replica then stops,
        because it would diverge from others.
        """

    def restore(entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """Become the state that `entries` described, and apply the batches of `ready` to it.  Called once,
        before anything is applied.

        `entries` is a new dict, which the state machine may keep.  Each of `ready` was applied before, in
        this order, and its replies are not wanted: effects outside the state must not be repeated.  Batches
        that write nothing and are no barrier are not among them.  Raises ValueError as `apply` does.
        """

    def entries() -> Iterable[tuple[bytes, bytes]]:
        """The whole state as it is now: each key once, in any order.  Later batches must not change what
        the iterable yields.

        It is iterated over once or not at all, bit by bit, perhaps in another thread, while batches are
        applied; several may be in use at once.  The call itself should return at once, because the event
        loop stands still meanwhile: to copy a large dictionary takes hundreds of milliseconds
        (`epaxos.statemachines.redis.shards` avoids that).
        """


class IStepwise(IStateMachine):
    """A state machine that can be interrupted.  Optional: of any other one, `apply` is called with one batch
    at a time, and `read` with the commands of one client.

    A step should take about a millisecond, because everything else waits for its end.  Between two steps
    of one iterator no other method is called, so nobody sees a batch that is applied in part.  An iterator
    may be dropped before its end only when the process ends, or when all that is left of it is tidying.
    """

    def apply_in_steps(ready: Ready) -> Steps:
        """As `apply` with this one batch.

        Steps after the replies run later, between other batches.  They may free memory and must not change
        the state; what they yield means nothing.
        """

    def read_in_steps(commands: Sequence[Command]) -> Steps:
        """As `read`.  The replies are yielded last."""


class ICountsKeys(Interface):
    """What a state machine whose state is made of keys may provide beside IStateMachine."""

    def keys() -> int:
        """How many keys there are now, which `INFO` shows.  Must return at once."""


class ICountsByDatabase(Interface):
    """What a state machine with several databases of keys may provide beside IStateMachine."""

    def keyspace() -> Mapping[int, tuple[int, int]]:
        """For each database that has keys: how many there are now, and how many of them, about, have a
        deadline.  `INFO` shows it.  Must return at once."""


class IReadsBefore(IStateMachine):
    """A state machine whose reads may answer RunAgain.  Any other one is asked by `read`."""

    def read_before(command: Command, batch: Batch) -> Reply:
        """The reply to `command`, which only reads, as if it had run in a batch just before `batch`, which is
        about to be applied and writes at least one of its keys.

        A key that `batch` writes is gone when it is due at the time of `batch`, for which it is gone, too.
        Then the reply is RunAgain with a reply that is known, because the key has to be gone for everybody
        before a client is told so.  Any other key counts as it stands, because nothing removes it here.
        """


class IExpires(IStateMachine):
    """A state machine with keys that end by themselves, at a time of the cluster clock.

    What these methods tell is no part of the state.  Each of them takes about a millisecond.
    """

    def is_due() -> bool:
        """Whether there may be keys to remove.  To be asked several times a second."""

    def removed() -> int:
        """How many due keys were removed on behalf of others, since the start."""

    def take_due() -> Sequence[Command]:
        """The commands that remove the next keys that are due, about 1000 of them; none when no key is.

        They are for `batch`, and are not given to `check`.  A key that is not removed is told again seconds
        later.  To be asked only while the clock is to be trusted.
        """


class ITellsKeys(Interface):
    """What a state machine whose commands name keys may provide beside IStateMachine."""

    def keys_of(command: Command) -> Sequence[bytes]:
        """The keys that `command` names, in its order.  Raises CommandError for a command that `check` passes
        in no state, by no clock.

        Called where `CommandInfo.finds_keys`: the places of all others are in their CommandInfo.
        """


class IRestoresInParts(IStateMachine):
    """A state machine that takes the entries in parts.  Optional: for any other one, the parts are gathered
    in one dict."""

    def restore_in_parts(parts: Iterable[dict[bytes, bytes]], ready: Iterable[Ready]) -> None:
        """As `restore`.  No key is in two parts."""


class IReplays(IStateMachine):
    """A state machine whose batches have effects outside of the state.  Optional: of any other one, `apply`
    is called again."""

    def replay(ready: Ready) -> Sequence[Reply]:
        """As `apply` with this one batch, which was applied before: effects outside the state must not be
        repeated.  Its replies are wanted.

        Called at a start, behind `restore` and before anything else, for what was executed behind the first
        EPAXOS ONCE (docs: using/exactly-once).
        """


class IComposites(IStateMachine):
    """A state machine that runs the commands that connections make: transactions, and commands in databases
    (`epaxos.interfaces.composites`).  Optional: for any other one MULTI is refused."""

    databases = Attribute("The number of databases, which are numbered from 0.")

    def name_of(database: int, key: bytes) -> bytes:
        """The name by which the batches that write this key say so; in database 0 the key itself."""

    def keys_named(name: bytes) -> Sequence[bytes]:
        """The keys of clients that may have this name, in whatever database; none for what is no key."""


class ISeesElements(Interface):
    """What a state machine with commands for which clients may wait may provide beside IStateMachine."""

    def elements(database: int, command: Command, key: bytes) -> int:
        """How many elements there are now at `key` for `command`, which names it: about how many commands of
        its kind would get something.  0 when there is nothing for it.  Must return at once."""


class ITimed(IStateMachine):
    """A state machine that puts the time, and chance, into its batches."""

    def use_clock(clock: IClusterClock, new_seed: Callable[[], int]) -> None:
        """Called once, before anything else.  `new_seed()`: 64 bits that nobody can foresee.

        Both are for `check`, `read` and `batch` alone: what `apply` does depends on its batches.  Before this
        was called the time is 0, and not to be trusted.
        """


class IVersioned(IStateMachine):
    """A state machine of which some commands are newer than others, so that a cluster whose replicas are
    upgraded one by one does not run what some of them cannot understand."""

    def on_version(version: int) -> None:
        """From now on `version` counts: that of the epoch (docs: protocol/epochs, "Versions").

        `check` refuses what is newer.  It is called before `restore`, while `restore` iterates over the
        batches, between those of two versions; behind `restore`; and, at the same place in the order of the
        batches at every replica, before the first batch of an epoch.  It rises, but for the call before
        `restore`.  Before the first call everything is served.
        """


class IStateMachineFactory(Interface):
    """A Twisted plugin that offers a state machine (`epaxos.interfaces.IStateMachineFactory`
    beside `twisted.plugin.IPlugin`, in a module of `twisted/plugins/`)."""

    name = Attribute("The name that `state_machine = NAME` in the configuration chooses, a str.")
    description = Attribute("One line for people, a str.")

    def create(options: Mapping[str, str]) -> IStateMachine:
        """A new, empty state machine.  `options` is the section `[state_machine]` of the configuration.

        Raises ValueError, with a text for the operator, when an option is unknown or wrong.
        """
