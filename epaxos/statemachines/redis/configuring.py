"""`\\0CONFIG name value …`: changes the settings that all replicas share."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.memory import CONFIGURE, unknown_setting
from epaxos.interfaces.redis import OK, text_of, wrong_arity
from epaxos.statemachines.redis.shared_settings import SETTINGS
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Touched

__all__ = ["COMMANDS"]


def _failed(name: bytes, why: object) -> CommandError:
    return CommandError(f"ERR CONFIG SET failed (possibly related to argument '{text_of(name)}') - {why}")


def _parse(words: Sequence[bytes]) -> dict[bytes, bytes]:
    """Raises CommandError, in Redis' words: all of them are set, or none."""
    found: dict[bytes, bytes] = {}
    for word, text in zip(words[::2], words[1::2]):
        name = word.lower()
        if name not in SETTINGS:
            raise unknown_setting(word)
        if name in found:
            raise _failed(word, "duplicate parameter")
        try:
            found[name] = SETTINGS[name].parse(text)
        except ValueError as why:
            raise _failed(word, why) from None
    return found


def _configure(space: Space, command: Command) -> Reply:
    if len(command) % 2 == 0:
        raise wrong_arity("config|set")
    space.everything.settings.values.update(_parse(command[1:]))
    return OK


def _find(command: Command) -> Touched:
    return Touched((b"\0settings",))


COMMANDS = (CommandSpec(CONFIGURE, _configure, -3, Keys.NONE, True, find=_find),)
