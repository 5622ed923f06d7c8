"""The table of the commands of the key-value store.  A new type brings a file of its own, and a line here."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.redis import SHOWN_BYTES_MAX, fits, text_of, wrong_arity
from epaxos.statemachines.redis import database, keys, strings
from epaxos.statemachines.redis.spec import CommandSpec

__all__ = ["COMMANDS", "check"]

COMMANDS: dict[bytes, CommandSpec] = {
    spec.name: spec for spec in (*strings.COMMANDS, *keys.COMMANDS, *database.COMMANDS)
}
"""The commands by their names in upper case."""


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


def check(command: Command) -> None:
    """Raise CommandError, in Redis' words, when `command` cannot run whatever the state is."""
    spec = COMMANDS.get(command[0].upper())
    if spec is None:
        raise _unknown(command)
    if not fits(spec.arity, len(command)):
        raise wrong_arity(command[0].decode().lower())
    if spec.check is not None:
        spec.check(command)
