"""The state machine that replicated commands act on, and what it may provide beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Union

from zope.interface import Attribute, Interface

from epaxos.interfaces.commands import Command, CommandInfo, Reply
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = [
    "ICountsKeys",
    "IReplays",
    "IRestoresInParts",
    "IStateMachine",
    "IStateMachineFactory",
    "IStepwise",
    "Ready",
    "Steps",
]


class Ready(NamedTuple):
    """An instance to apply now.  `wanted`: whether a client of this replica waits for its replies."""

    id: InstanceId
    batch: Batch
    wanted: bool


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


class IStateMachineFactory(Interface):
    """A Twisted plugin that offers a state machine (`epaxos.interfaces.IStateMachineFactory`
    beside `twisted.plugin.IPlugin`, in a module of `twisted/plugins/`)."""

    name = Attribute("The name that `state_machine = NAME` in the configuration chooses, a str.")
    description = Attribute("One line for people, a str.")

    def create(options: Mapping[str, str]) -> IStateMachine:
        """A new, empty state machine.  `options` is the section `[state_machine]` of the configuration.

        Raises ValueError, with a text for the operator, when an option is unknown or wrong.
        """
