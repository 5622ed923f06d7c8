"""The state machine that the replicated commands act on, and what it may do beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Union

from zope.interface import Attribute, Interface

from epaxos.interfaces.commands import Command, CommandInfo, Reply
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch

__all__ = [
    "ICountsKeys",
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
"""Work that is done step by step: None after each step, and the replies when all is done."""


class IStateMachine(Interface):
    """What the replicated commands act on.  Deterministic: the same batches in the same order give
    the same state and replies everywhere.  All calls come from one thread."""

    def check(command: Command) -> None:
        """Raise CommandError when `command` can never be run (unknown, wrong arguments).

        What passes may be given to `batch`.
        """

    def is_valid_shape(name: bytes, length: int) -> bool:
        """Whether `check` passes every command that is called exactly `name` and has `length`
        elements, the name included.  It may say no when it does not know: that only costs time."""

    def commands() -> Sequence[CommandInfo]:
        """The commands that are served."""

    def is_read(name: bytes) -> bool:
        """Whether commands of this name that pass `check` read the one key that is their first argument,
        and do nothing else.  Such commands are not replicated: they are given to `read`, where a client
        waits for them, and to `batch` and `apply` only among others that write what they read."""

    def read(commands: Sequence[Command]) -> Sequence[Reply]:
        """Run commands, one or more, for which `is_read` is true, on the state as it is."""

    def batch(commands: Sequence[Command]) -> Batch:
        """The commands, each of which has passed `check`, as one batch: keys read and written, payload."""

    def apply(ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """Apply the batches in order.  The replies of each batch: one for each command, or nothing
        (an empty sequence) where they are not wanted.

        A payload that this version cannot understand raises ValueError: the replica then stops
        rather than diverge.
        """

    def restore(entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """Become the state that `entries` once returned, and that the batches of `ready` then lead to.

        `entries` is a new dict, which the machine may keep.  Each of `ready` was applied before, in
        this order, and nobody wants its replies: what `apply` does outside of the state must not be
        done again.  Batches that write nothing, and are no barrier, are not among them.  Called once,
        before anything is applied.  Raises ValueError as `apply` does.
        """

    def entries() -> Iterable[tuple[bytes, bytes]]:
        """The whole state, each key once, in any order, which later batches leave alone.

        It is read once, or not at all; bit by bit, perhaps in another thread, while batches are applied.
        Several of them may be read at once.  The call itself should take no time, because everything
        stops for it: a copy of a large dictionary takes hundreds of milliseconds (`shards.py`).
        """


class IStepwise(IStateMachine):
    """A state machine that can be interrupted.  Optional: `apply` and `read` of any other one are called
    with one batch, or what one client asked, at a time.

    A step should take about a millisecond, because everything else waits for it.  Between two steps of one
    iterator no other method is called: nobody sees a batch that is applied in part.  An iterator may be
    dropped before its end only when the process ends, or when all that it had left is tidying.
    """

    def apply_in_steps(ready: Ready) -> Steps:
        """As `apply` with this one batch.

        What the iterator yields after the replies means nothing.  These steps come later, between other
        batches, and must not change the state: they may free memory.
        """

    def read_in_steps(commands: Sequence[Command]) -> Steps:
        """As `read`.  The replies come last."""


class ICountsKeys(Interface):
    """What a state machine may provide beside IStateMachine, if its state is made of keys."""

    def keys() -> int:
        """How many keys there are now, which `INFO` shows.  Must be quick: it is not called in a thread."""


class IRestoresInParts(IStateMachine):
    """A state machine that takes the entries in parts.  Optional: they are gathered in a dict for others."""

    def restore_in_parts(parts: Iterable[dict[bytes, bytes]], ready: Iterable[Ready]) -> None:
        """As `restore`; no key is in two parts."""


class IStateMachineFactory(Interface):
    """A Twisted plugin that offers a state machine (`epaxos.interfaces.IStateMachineFactory`
    beside `twisted.plugin.IPlugin`, in a module of `twisted/plugins/`)."""

    name = Attribute("The name that `state_machine = NAME` in the configuration chooses, a str.")
    description = Attribute("One line for people, a str.")

    def create(options: Mapping[str, str]) -> IStateMachine:
        """A new, empty state machine.  `options` is the `[state_machine]` section of the configuration.

        Raises ValueError, with a text for people, when an option is unknown or wrong.
        """
