"""What the script of a user may do that may not do everything: `\\0AS rights command …`.

The rights travel with the command, and the commands that the script calls are looked at where it runs.  So
every replica comes to the same, whatever has become of the user by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from epaxos.interfaces import Command, CommandError, CommandInfo
from epaxos.interfaces.access import Access, KeyUse, Units, access_of, check_keys, units_of
from epaxos.interfaces.redis import fits, text_of, wrong_arity
from epaxos.interfaces.users import AS
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Keys, Piecewise, Touched

__all__ = ["commands_for", "rights_of", "uses_of"]

_SCRIPTS = frozenset((b"EVAL", b"EVAL_RO", b"EVALSHA", b"EVALSHA_RO", b"\0EVAL", b"\0EVALSHA", b"\0ALL"))
"""The commands that run scripts; the last three are made of the others (`scripts.py`)."""
_OWN = {
    b"ping": frozenset(["fast", "connection"]),
    b"echo": frozenset(["fast", "connection"]),
    b"select": frozenset(["fast", "connection"]),
    b"time": frozenset(["fast"]),
}
"""What a script may call that a connection answers for its client."""
_KEPT_MAX = 1000

Table = Mapping[bytes, CommandSpec]


def uses_of(table: Table, command: Command) -> list[KeyUse]:
    """What `command` does with the keys that it names.  Raises CommandError for one that never runs.

    A destination that SORT names behind its options counts, too, because SORT may be a barrier.
    """
    spec = table.get(command[0].upper())
    if spec is None or command[0].startswith(b"\0"):
        raise CommandError(f"ERR unknown command '{text_of(command[0])}'")
    if not fits(spec.arity, len(command)):
        raise wrong_arity(command[0].decode().lower())
    if spec.find is None:
        keys = spec.keys.of(command)
        check_keys(len(keys))
        return [KeyUse(key, spec.writes) for key in keys]
    if spec.check is not None:
        spec.check(command)
    touched = spec.touched(command)
    check_keys(max(len(touched.writes), len(touched.reads)))
    arguments = frozenset(command[1:])
    found = [
        KeyUse(key, writes)
        for names, writes in ((touched.writes, True), (touched.reads, False))
        for name in names
        if (key := name if name in arguments else name.split(b"\0", 2)[-1]) in arguments
    ]
    found = found or [KeyUse(key, spec.writes) for key in spec.keys.of(command)]
    if touched.barrier:
        places = [place for place, word in enumerate(command[:-1]) if word.upper() == b"STORE"]
        found += [KeyUse(command[place + 1], True) for place in places]
    return found


def _units(table: Table) -> Units:
    infos = [
        CommandInfo(
            spec.name.decode().lower(), spec.arity, spec.writes, 0, 0, 0, flags=spec.flags,
            categories=spec.categories, subcommands=spec.subcommands,
        )
        for name, spec in table.items()
        if not name.startswith(b"\0")
    ]  # fmt: skip
    return {**units_of(infos), **_OWN}


_kept: dict[bytes, Access] = {}
"""Rights by their text, because the same ones come again and again.  What they are depends on the text."""


def rights_of(text: bytes, table: Table) -> Access:
    """The rights that `Access.text` told.  Raises CommandError."""
    found = _kept.get(text)
    if found is None:
        if len(_kept) >= _KEPT_MAX:
            _kept.clear()
        found = _kept[text] = access_of(text, _units(table), partial(uses_of, table))
    return found


def commands_for(table: Callable[[], dict[bytes, CommandSpec]]) -> tuple[CommandSpec, ...]:
    """The command that runs scripts of `table()` with the rights of a user."""

    def in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        inner = table()[command[2].upper()].in_pieces
        assert inner is not None
        space.moment.rights = command[1]
        try:
            return (yield from inner(space, command[2:], size))
        finally:
            space.moment.rights = b""

    def at_once(space: Space, command: Command) -> Found:
        steps = in_pieces(space, command, 1)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def check(command: Command) -> None:
        inner = table().get(command[2].upper())
        if inner is None or command[2].upper() not in _SCRIPTS or not fits(inner.arity, len(command) - 2):
            raise CommandError(f"{command[2]!r} with the rights of a user")
        rights_of(command[1], table())
        if inner.check is not None:
            inner.check(command[2:])

    def find(command: Command) -> Touched:
        return table()[command[2].upper()].touched(command[2:])

    return (
        CommandSpec(
            AS, at_once, -5, Keys.NONE, True, check=check, find=find, in_pieces=in_pieces, takes_seed=True,
            is_long=lambda command: True,
        ),
    )  # fmt: skip
