"""The table of the commands of the key-value store.  A new type brings a file of its own, and a line here."""

from __future__ import annotations

from collections.abc import Container

from epaxos.interfaces import Command, CommandError, CommandInfo
from epaxos.interfaces.access import KeyUse
from epaxos.interfaces.redis import CLOCK_SKEW, SHOWN_BYTES_MAX, fits, text_of, wrong_arity
from epaxos.statemachines.redis import (
    bitfields,
    bits,
    blocking_lists,
    blocking_zsets,
    configuring,
    database,
    dumping,
    evicting,
    expiry,
    geo,
    hashes,
    hyperloglogs,
    inspecting,
    keys,
    lists,
    publishing,
    removals,
    rights,
    scanning,
    scripts,
    sets,
    sorting,
    strings,
    transactions,
    users,
    zsets,
)
from epaxos.statemachines.redis.rights import uses_of
from epaxos.statemachines.redis.spec import CommandSpec, Keys
from epaxos.statemachines.redis.streams import commands as streams

__all__ = ["COMMANDS", "INTERNAL", "check", "commands", "key_uses", "keys_of"]

INTERNAL = b"\0"
"""With this begin the names of commands that no client can send: replicas and connections make them."""

_FAMILIES = (
    *(
        strings,
        bits,
        bitfields,
        hyperloglogs,
        hashes,
        lists,
        blocking_lists,
        sets,
        zsets,
        blocking_zsets,
        geo,
    ),
    *(streams, sorting, keys, scanning, inspecting, dumping, expiry, database, removals, evicting),
    *(configuring, publishing, users),
)

COMMANDS: dict[bytes, CommandSpec] = {spec.name: spec for family in _FAMILIES for spec in family.COMMANDS}
"""The commands by their names in upper case."""
COMMANDS.update((spec.name, spec) for spec in transactions.commands_for(lambda: COMMANDS))
COMMANDS.update((spec.name, spec) for spec in scripts.commands_for(lambda: COMMANDS))
COMMANDS.update((spec.name, spec) for spec in rights.commands_for(lambda: COMMANDS))


def commands() -> list[CommandInfo]:
    """What COMMAND tells of the commands that clients can send."""
    return [_info(spec) for name, spec in COMMANDS.items() if not name.startswith(INTERNAL)]


def _info(spec: CommandSpec) -> CommandInfo:
    return CommandInfo(
        spec.name.decode().lower(),
        spec.arity,
        spec.writes,
        *(Keys.NONE if spec.hides_keys else spec.keys).value,
        flags=spec.flags,
        categories=spec.categories,
        finds_keys=spec.find is not None and not spec.plain,
        is_barrier=spec.barrier,
        since=spec.since,
        usage=spec.usage,
        summary=spec.summary,
        complexity=spec.complexity,
        subcommands=spec.subcommands,
        options_from=spec.options_from,
    )


def _unknown(command: Command) -> CommandError:
    """Redis' error: it shows 128 bytes of the name, and 128 of the arguments with their quotes and spaces."""
    shown, left = "", SHOWN_BYTES_MAX
    for argument in command[1:]:
        if left <= 0:
            break
        text = argument[:left].partition(b"\0")[0]
        shown += f"'{text_of(text, left)}' "
        left -= len(text) + 3
    return CommandError(f"ERR unknown command '{text_of(command[0])}', with args beginning with: {shown}")


def check(command: Command, is_timed: bool = True) -> None:
    """Raise CommandError, in Redis' words, when a client's `command` cannot run whatever the state is.

    `is_timed`: whether a command that depends on the time may be proposed here and now.
    """
    spec = COMMANDS.get(command[0].upper())
    if spec is None or command[0].startswith(INTERNAL):
        raise _unknown(command)
    if not fits(spec.arity, len(command)):
        raise wrong_arity(command[0].decode().lower())
    if spec.check is not None:
        spec.check(command)
    if not is_timed and spec.takes_time is not None and spec.takes_time(command):
        raise CommandError(CLOCK_SKEW)


def keys_of(command: Command) -> list[bytes]:
    """The keys that `command` names, in its order.  Raises CommandError as `check` does."""
    check(command)
    spec = COMMANDS[command[0].upper()]
    touched = spec.touched(command)
    if spec.find is None or not (touched.writes or touched.reads):
        return list(spec.keys.of(command))
    places = {argument: place for place, argument in reversed([*enumerate(command)])}
    reads, writes = (
        [key for name in names if (key := _argument_of(name, places)) in places]
        for names in (touched.reads, touched.writes)
    )  # but for the table of scripts, and counters of fences
    return sorted((*reads, *writes), key=places.__getitem__) if reads and writes else reads or writes


def _argument_of(name: bytes, places: Container[bytes]) -> bytes:
    """The key of a name, which may be in another database."""
    return name if name in places else name.split(b"\0", 2)[-1]


def key_uses(command: Command) -> list[KeyUse]:
    """What `command` does with the keys that it names.  Raises CommandError as `check` does."""
    return uses_of(COMMANDS, command)
