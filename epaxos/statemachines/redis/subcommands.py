"""Commands whose second word says what is done: OBJECT, MEMORY, XGROUP, XINFO."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, Reply, SimpleString, SubcommandInfo
from epaxos.interfaces.redis import text_of, wrong_arity
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Keys, Piecewise, Touched

__all__ = ["Subcommand", "container"]


class Subcommand(NamedTuple):
    """What a second word stands for.  A third element is a key.

    `arity`: with the name and the subcommand; see CommandInfo.  `help`: how it is called, and what it does.
    `check`, `in_pieces`, `takes_time`: see CommandSpec; whatever has `in_pieces` runs so.
    """

    handler: Callable[[Space, Command], Any]
    arity: int
    help: tuple[str, ...]
    check: Callable[[Command], None] | None = None
    in_pieces: Callable[[Space, Command, int], Piecewise] | None = None
    takes_time: bool = False
    flags: tuple[str, ...] = ("readonly",)


def _find_subcommand(command: Command, subcommands: Mapping[bytes, Subcommand]) -> Subcommand:
    """Raises CommandError, in Redis' words."""
    name = command[0].upper().decode()
    found = subcommands.get(command[1].upper())
    if found is None:
        raise CommandError(f"ERR unknown subcommand '{text_of(command[1])}'. Try {name} HELP.")
    if not (len(command) == found.arity if found.arity > 0 else len(command) >= -found.arity):
        raise wrong_arity(f"{name.lower()}|{command[1].decode().lower()}")
    if found.check is not None:
        found.check(command)
    return found


def _help(name: str, subcommands: Mapping[bytes, Subcommand]) -> Reply:
    lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for subcommand in subcommands.values():
        lines += [subcommand.help[0], *("    " + line for line in subcommand.help[1:])]
    lines += ["HELP", "    Print this help."]
    return [SimpleString(line) for line in lines]


def container(
    name: bytes,
    subcommands: dict[bytes, Subcommand],
    usage: str,
    summary: str,
    categories: tuple[str, ...] = (),
    writes: bool = False,
) -> CommandSpec:
    """A command whose second word says what is asked, or done (`writes`)."""
    served = {**subcommands, b"HELP": Subcommand(lambda *_: _help(name.decode(), subcommands), 2, ())}

    def run(space: Space, command: Command) -> Found:
        found: Found = _find_subcommand(command, served).handler(space, command)
        return found

    def run_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        subcommand = _find_subcommand(command, served)
        if subcommand.in_pieces is None:
            found: Found = subcommand.handler(space, command)
            return found
        return (yield from subcommand.in_pieces(space, command, size))

    def check(command: Command) -> None:
        _find_subcommand(command, served)

    def find(command: Command) -> Touched:
        keys = command[2:3]
        return Touched(keys) if writes else Touched((), keys)

    def is_long(command: Command) -> bool:
        subcommand = served.get(command[1].upper())
        return subcommand is not None and subcommand.in_pieces is not None

    def takes_time(command: Command) -> bool:
        return _find_subcommand(command, served).takes_time

    def infos() -> Iterator[SubcommandInfo]:
        for word, subcommand in served.items():
            full = b"%b|%b" % (name, word)
            is_help = word == b"HELP"
            flags = ("loading", "stale") if is_help else subcommand.flags
            groups = categories if is_help else (*categories, "write" if writes else "read")
            yield SubcommandInfo(full.decode().lower(), subcommand.arity, 0 if is_help else 2, flags, groups)

    has_pieces = any(subcommand.in_pieces for subcommand in subcommands.values())
    return CommandSpec(
        name, run, -2, Keys.NONE, writes, check=check, find=find, flags=(), usage=usage, summary=summary,
        categories=categories, subcommands=tuple(infos()),
        in_pieces=run_in_pieces if has_pieces else None, is_long=is_long if has_pieces else None,
        takes_time=takes_time if any(subcommand.takes_time for subcommand in subcommands.values()) else None,
    )  # fmt: skip
