"""A machine as the state machine of a replica.

Beside each command NAME there is `=NAME`, which does the same and answers with the result as JSON, one bulk
string: so Python gets back what the method returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from zope.interface import implementer

from epaxos.interfaces import (
    Batch,
    Command,
    CommandError,
    CommandInfo,
    ICountsKeys,
    IRestoresInParts,
    IStepwise,
    Ready,
    Reply,
    Steps,
)
from epaxos.interfaces.redis import text_of
from epaxos.machines.commands import CommandSpec
from epaxos.machines.machine import Machine
from epaxos.machines.running import as_json, as_reply, run
from epaxos.statemachines.columns import decode_columns, decode_commands, encode_commands
from epaxos.statemachines.redis.shards import ShardedDict
from epaxos.statemachines.steps import replies_of

__all__ = ["AS_JSON", "MachineRunner"]

AS_JSON = b"="
"""What stands before the name of a command whose result is to be answered as JSON."""
BYTES_PER_STEP = 16_384
"""Bytes of the state that the commands of one step decode, about a millisecond."""
COMMAND_BYTES = 512
"""What each command counts for in a step, beside what it decodes."""


@implementer(IStepwise, IRestoresInParts, ICountsKeys)
class MachineRunner:
    """Runs the commands of `machine`.  `bytes_per_step`: see BYTES_PER_STEP; the simulator takes fewer."""

    def __init__(self, machine: Machine, bytes_per_step: int = BYTES_PER_STEP) -> None:
        self._machine = machine
        self._specs = machine.command_specs
        self._kept = ShardedDict[bytes]()
        self._bytes_per_step = bytes_per_step

    # -- commands

    def _spec(self, name: bytes) -> CommandSpec | None:
        try:
            return self._specs.get(name.removeprefix(AS_JSON).upper().decode("ascii"))
        except UnicodeDecodeError:
            return None

    def check(self, command: Command) -> None:
        """See IStateMachine."""
        spec = self._spec(command[0])
        if spec is None:
            raise CommandError(f"ERR unknown command '{text_of(command[0])}'")
        spec.values(command[1:])

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IStateMachine.  A shape says nothing of the types of arguments."""
        return False

    def commands(self) -> Sequence[CommandInfo]:
        """See IStateMachine."""
        return [spec.info() for spec in self._specs.values()]

    def is_read(self, name: bytes) -> bool:
        """See IStateMachine."""
        spec = self._spec(name)
        return spec is not None and spec.is_plain_read

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine.  Defaults are filled in here, so that all replicas take the same."""
        whole: list[Sequence[bytes]] = []
        writes: dict[bytes, None] = {}
        reads: dict[bytes, None] = {}
        is_barrier, is_keyed = False, True
        for command in commands:
            spec = self._spec(command[0])
            if spec is None:
                raise ValueError(f"{command[0]!r} has not passed check")
            words = spec.complete(command[1:])
            whole.append([command[0], *words])
            writes.update(dict.fromkeys(spec.keys(spec.writes, words)))
            reads.update(dict.fromkeys(spec.keys(spec.reads, words)))
            is_barrier = is_barrier or spec.is_barrier
            is_keyed = is_keyed and bool(words) and 0 in spec.writes | spec.reads
        only_read = tuple(key for key in reads if key not in writes)
        keys = (*writes, *only_read)
        payload = encode_commands(whole, keys if is_keyed else ())
        return Batch(tuple(writes), only_read, payload, len(commands), barrier=is_barrier)

    # -- running them

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        return replies_of(self.read_in_steps(commands))

    def read_in_steps(self, commands: Sequence[Command]) -> Steps:
        """See IStepwise."""
        return self._in_steps(commands, True)

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """See IStateMachine."""
        return [replies_of(self.apply_in_steps(one)) for one in ready]

    def apply_in_steps(self, ready: Ready) -> Steps:
        """See IStepwise."""
        return self._in_steps(decode_commands(decode_columns(ready.batch)), ready.wanted)

    def _in_steps(self, commands: Sequence[Command], wanted: bool) -> Iterator[Sequence[Reply] | None]:
        """Run the commands, a few in each step.  Raises ValueError."""
        replies = []
        spent = 0
        for command in commands:
            if spent >= self._bytes_per_step:
                spent = 0
                yield None
            reply, read_bytes = self._run(command, wanted)
            spent += COMMAND_BYTES + read_bytes
            if wanted:
                replies.append(reply)
        yield replies

    def _run(self, command: Command, wanted: bool) -> tuple[Reply, int]:
        name, *words = command
        spec = self._spec(name)
        if spec is None:
            raise ValueError(f"a batch with the command {name!r}")
        answer = as_json if name.startswith(AS_JSON) else as_reply
        reply, changes, read_bytes = run(self._machine, spec, words, self._kept, answer, wanted)
        for place, data in changes.items():
            if data is None:
                self._kept.pop(place, None)
            else:
                self._kept[place] = data
        return reply, read_bytes

    # -- the whole state

    def keys(self) -> int:
        """See ICountsKeys."""
        return len(self._kept)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        return self._kept.entries()

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine."""
        self.restore_in_parts([entries], ready)

    def restore_in_parts(self, parts: Iterable[dict[bytes, bytes]], ready: Iterable[Ready]) -> None:
        """See IRestoresInParts."""
        self._kept = ShardedDict()
        for part in parts:
            self._kept.set_all(part, part.values())
        for one in ready:
            replies_of(self.apply_in_steps(one._replace(wanted=False)))
