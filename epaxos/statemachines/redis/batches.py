"""Makes one batch of commands: the keys that they write, those that they only read, and the payload."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, filterfalse
from operator import itemgetter

from epaxos.interfaces import Command
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import encode_commands
from epaxos.statemachines.redis.commands import COMMANDS
from epaxos.statemachines.redis.spec import Keys

__all__ = ["batch_of"]

_name = itemgetter(0)
_key = itemgetter(1)


def batch_of(commands: Sequence[Command]) -> Batch:
    """The commands, one or more, each of which has passed `check`, as one batch."""
    specs = {name: COMMANDS[name.upper()] for name in set(map(_name, commands))}
    if any(spec.barrier for spec in specs.values()):
        return Batch((), (), encode_commands(commands), len(commands), True)
    if not all(spec.keys is Keys.FIRST for spec in specs.values()):
        writes, reads = _all_keys(commands)
        return Batch(writes, reads, encode_commands(commands), len(commands))
    writes, reads = _first_keys(commands, {name: spec.writes for name, spec in specs.items()})
    return Batch(writes, reads, encode_commands(commands, writes + reads), len(commands))


def _first_keys(
    commands: Sequence[Command], is_write: dict[bytes, bool]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The keys written and those only read, where the first argument of each command is its only key."""
    keys = dict.fromkeys(map(_key, commands))
    if all(is_write.values()):
        return tuple(keys), ()
    if not any(is_write.values()):
        return (), tuple(keys)
    flags = map(is_write.__getitem__, map(_name, commands))
    written = dict.fromkeys(compress(map(_key, commands), flags))
    return tuple(written), tuple(filterfalse(written.__contains__, keys))


def _all_keys(commands: Sequence[Command]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The keys written and those only read, for any commands."""
    writes: dict[bytes, None] = {}
    reads: dict[bytes, None] = {}
    for command in commands:
        spec = COMMANDS[command[0].upper()]
        (writes if spec.writes else reads).update(dict.fromkeys(spec.keys.of(command)))
    for key in writes.keys() & reads.keys():
        del reads[key]
    return tuple(writes), tuple(reads)
