"""Makes one batch of commands: the keys that they write, those that they only read, and the payload."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from itertools import compress, filterfalse
from operator import itemgetter

from epaxos.interfaces import Command
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import encode_commands
from epaxos.statemachines.redis.commands import COMMANDS
from epaxos.statemachines.redis.spec import CommandSpec, Keys

__all__ = ["batch_of"]

_name = itemgetter(0)
_key = itemgetter(1)


def batch_of(
    commands: Sequence[Command], names: Set[bytes], now_ms: int, new_seed: Callable[[], int]
) -> Batch:
    """The commands, one or more, each of which has passed `check`, as one batch of the time `now_ms`.

    `names`: those of the commands, as clients wrote them.
    """
    specs = {name: COMMANDS[name.upper()] for name in names}
    lengths = set(map(len, commands))
    shapes = names, lengths
    seed = new_seed() if any(spec.takes_seed for spec in specs.values()) else 0
    if all(_tells_keys(spec, commands, max(lengths)) for spec in set(specs.values())):
        writes, reads = _first_keys(commands, {name: spec.writes for name, spec in specs.items()})
        payload = encode_commands(commands, writes + reads, now_ms, seed, shapes)
        return Batch(writes, reads, payload, len(commands))
    payload = encode_commands(commands, (), now_ms, seed, shapes)
    touched = _all_names(commands)
    if touched is None:
        return Batch((), (), payload, len(commands), True)
    return Batch(*touched, payload, len(commands))


def _tells_keys(spec: CommandSpec, commands: Sequence[Command], longest: int) -> bool:
    """Whether the first argument of each command with this spec is all that it touches.  `longest`: the most
    elements that one of `commands` has."""
    if spec.keys is not Keys.FIRST or spec.barrier:
        return False
    find = spec.find
    if find is None or longest <= spec.plain:
        return True
    some = _by_options(commands, spec.options_from) if spec.options_from else commands
    return all(find(command) is None for command in some if command[0].upper() == spec.name)


def _by_options(commands: Sequence[Command], start: int) -> Iterable[Command]:
    """One command for each name with other elements from `start` on."""
    options = map(tuple, map(itemgetter(slice(start, None)), commands))
    return dict(zip(zip(map(_name, commands), options), commands)).values()


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


def _all_names(commands: Sequence[Command]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]] | None:
    """The names written and those only read, for any commands; None when they are a barrier.

    Commands that only read, together with some that write, write their keys.  Otherwise one that reads a key
    whose deadline has come would run again, behind what the same client wrote after it.
    """
    writes: dict[bytes, None] = {}
    reads: dict[bytes, None] = {}
    by_readers: dict[bytes, None] = {}
    for command in commands:
        spec = COMMANDS[command[0].upper()]
        written, read, is_barrier = spec.touched(command)
        if is_barrier:
            return None
        writes.update(dict.fromkeys(written))
        (reads if spec.writes else by_readers).update(dict.fromkeys(read))
    (writes if writes else reads).update(by_readers)
    for name in writes.keys() & reads.keys():
        del reads[name]
    return tuple(writes), tuple(reads)
