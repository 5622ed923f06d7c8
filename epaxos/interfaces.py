"""The contracts between the parts of a replica, and the values that cross them.

A concrete class is named in `service.py` alone; everything else knows only these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from zope.interface import Attribute, Interface

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import InstanceRecord
from epaxos.protocol.values.messages import Batch, Message

if TYPE_CHECKING:  # protocol/ and execution/ see this module, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = [
    "Checkpoint",
    "Command",
    "CommandError",
    "CommandInfo",
    "IClients",
    "ICountsKeys",
    "IExecutor",
    "IRestoresInParts",
    "IStateMachine",
    "IStateMachineFactory",
    "IStepwise",
    "IStore",
    "ITimeout",
    "ITimeoutService",
    "ITransport",
    "Identity",
    "Outcome",
    "Ready",
    "Reply",
    "Restored",
    "SimpleString",
    "Steps",
    "StoreError",
    "Unavailable",
    "WriteSet",
]

Command = Sequence[bytes]
"""One client command: its name and arguments, as the client sent them."""


class SimpleString(str):
    """A reply that is a status, not data: `OK`, `PONG`."""

    __slots__ = ()


class CommandError(Exception):
    """A command that cannot be run; the text is what the client is told, error code first.

    It is a reply like any other when the state machine finds it at execution (it is then returned,
    not raised): all replicas find the same.
    """


Reply = Union[None, int, bytes, SimpleString, CommandError, "list[Any]"]
"""What a command answers; a list holds replies."""


class Unavailable(Exception):
    """No quorum answered in time.

    `may_have_run` says whether the commands may still be committed and executed later.
    """

    def __init__(self, message: str, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


Outcome = Union["Sequence[Reply]", Unavailable]
"""What becomes of submitted commands: one reply for each, or a failure of all."""


class CommandInfo(NamedTuple):
    """What clients may want to know of a command.

    `arity` counts the name; -n stands for n or more.  Keys are the arguments from `first_key` to
    `last_key` (-1: the last one), every `key_step`-th; 0 when there are none.
    """

    name: str
    arity: int
    writes: bool
    first_key: int
    last_key: int
    key_step: int


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


class IExecutor(Interface):
    """Decides when and in which order committed instances run (protocol.md, "Execution")."""

    executed = Attribute("Deps: per row, the slot up to which everything has been executed.")
    waiting = Attribute("int: how many instances are committed and not executed.")
    busy = Attribute("bool: whether `run` would find something to look at.")

    def commit(id: InstanceId, batch: Batch, deps: Deps) -> None:
        """`id` is decided.  `batch` is NOP when it does nothing."""

    def run(limit: int | None = None) -> list[tuple[InstanceId, Batch]]:
        """The instances that may now be applied, in order; from now on they count as executed.

        NOPs are executed but not returned.  With a limit, about so many; the rest comes with the
        next call.
        """

    def executed_beyond() -> tuple[InstanceId, ...]:
        """What has been executed above `executed`, sorted."""

    def restore(executed: Deps, beyond: Iterable[InstanceId]) -> None:
        """Take up from a checkpoint.  Called once, before any commit."""


class ITimeout(Interface):
    """A call that is due later."""

    def cancel() -> None:
        """Do not call.  Does nothing when the call has been made or was cancelled."""


class ITimeoutService(Interface):
    """Time.  The only clock of a replica."""

    def now() -> float:
        """Seconds on a clock that never goes back."""

    def call_later(delay_s: float, call: Callable[[], None]) -> ITimeout:
        """Call after `delay_s` seconds; 0 means: when everything that has arrived is handled."""


class StoreError(Exception):
    """The disk is not what it should be; the text is for the operator, one line."""


class Identity(NamedTuple):
    """Whose data this is.  A store opened by another identity refuses."""

    cluster: str
    replica: int
    n: int
    state_machine: str


class Checkpoint(NamedTuple):
    """What was executed: all instances up to `executed`, and those of `beyond`.

    `batches`: those that were applied since the last checkpoint and may have changed the state, in
    their order; `state`: the whole state after them, for a store that wants it (`IStore.wants_state`).
    """

    executed: Deps
    beyond: tuple[InstanceId, ...]
    batches: Sequence[tuple[InstanceId, Batch]]
    state: Iterable[tuple[bytes, bytes]] | None = None


@dataclass
class WriteSet:
    """What one turn of a replica writes, all or nothing.

    `batches`: proposed batches, each written once; `records`: the newest record of each instance;
    `reserved`: the highest slot of the own row that may be used from now on; `floor`: everything up
    to it was executed by every member and `dropped` are the instances to delete for it;
    `sync`: somebody waits for the records to be durable.
    """

    batches: list[tuple[InstanceId, Batch]] = field(default_factory=list)
    records: list[InstanceRecord] = field(default_factory=list)
    reserved: int | None = None
    floor: Deps | None = None
    dropped: list[InstanceId] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    sync: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.batches
            or self.records
            or self.dropped
            or self.reserved is not None
            or self.floor is not None
            or self.checkpoint is not None
        )


class Restored(NamedTuple):
    """What a store held when it was opened; for a new store: nothing (`fresh`), zeros and empty.

    The state is that of `base`, the entries of a whole state in parts, after the `batches`.  All three are
    iterated once, by the opener, before the first write, and raise StoreError; a part is the opener's own.
    """

    fresh: bool
    reserved: int
    floor: Deps
    executed: Deps
    beyond: tuple[InstanceId, ...]
    records: Iterable[tuple[InstanceRecord, Batch | None]]
    base: Iterable[dict[bytes, bytes]]
    batches: Iterable[tuple[InstanceId, Batch]]


class IStore(Interface):
    """The durable memory of one replica."""

    persistent = Attribute("bool: whether a restart finds anything.")
    wants_state = Attribute(
        "bool: whether the next checkpoint should bring the whole state, so that older batches can go."
    )

    def open(identity: Identity) -> Restored:
        """Open, and create what is missing.  Blocks.  Raises StoreError: locked, damaged, or of
        another identity.  Nothing of what was there is ever silently ignored."""

    def write(write_set: WriteSet, durable: Callable[[], None]) -> None:
        """Write in the order of the calls; never blocks.  `durable` is called, in the same order,
        once this and every earlier write set is on disk (synced, when this one or a later one
        written with it asks for `sync`; otherwise when the operating system has it).  What does not
        ask for `sync` may wait for one that does, or for `close`.

        An empty write set is a pure marker.  `durable` may be called before `write` returns.
        A failure is reported once, to the callable that the store was built with, and from then
        on nothing is ever reported durable.
        """

    def close() -> Deferred[None]:
        """Write and sync what was given, then close.  Fires when done."""

    def counters() -> Mapping[str, int]:
        """`store_writes`, `store_syncs`, `store_bytes`, `store_queue`."""


class ITransport(Interface):
    """Carries messages between replicas; may lose, double and reorder them."""

    batch_bytes_max = Attribute(
        "int or None: a batch of a larger `size_bytes` cannot be counted on to arrive; None: any can."
    )

    def start(
        receive: Callable[[int, Sequence[Message]], None], connection: Callable[[int, bool], None]
    ) -> Deferred[None]:
        """Listen and connect; from now on `receive(sender, messages)` is called with what comes.

        `connection(replica, True)` is called when there is a connection with a replica after there
        was none, `connection(replica, False)` when all are lost and no new one can be made at once.
        What has no connections calls neither.  Fails when the address cannot be listened on.
        """

    def send(outgoing: Sequence[tuple[int, Message]]) -> None:
        """Send each message to the replica named beside it; at most one write per replica.  Never
        blocks; what finds no connection, or a full queue, is dropped."""

    def is_connected(replica: int) -> bool:
        """Whether there is a connection to `replica` just now, or it was heard of just now."""

    def stop() -> Deferred[None]:
        """Close everything.  Fires when done."""

    def counters() -> Mapping[str, int]:
        """At least `bytes_sent`, `bytes_received`, `messages_dropped`, `send_queue_bytes`."""


class IClients(Interface):
    """Where a frontend hands in what clients ask: the replica."""

    def check(command: Command) -> None:
        """As `IStateMachine.check`."""

    def is_valid_shape(name: bytes, length: int) -> bool:
        """As `IStateMachine.is_valid_shape`."""

    def commands() -> Sequence[CommandInfo]:
        """As `IStateMachine.commands`."""

    def submit(commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0) -> None:
        """Replicate and execute the commands, all of which have passed `check`, together.

        `size_bytes` is about what they take.  `done` is called exactly once, never before `submit`
        returns.  Commands that one caller submits in several calls run in that order where they
        interfere, unless a recovery by another replica made the earlier ones start again.
        """

    def keys() -> int | None:
        """How many keys the state holds; None when the state machine does not tell (`ICountsKeys`)."""

    def status() -> Deferred[dict[str, Any]]:
        """What `GET /status` shows (docs/operations.md).  May be cancelled."""
