"""What COMMAND answers: an entry for each command, as Redis 7 has it, and sentences for people.

See redis.io, "COMMAND".  Of the ten elements of an entry the tips and the key specifications are empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from zope.interface import implementer

from epaxos.interfaces import CommandInfo, Reply, SimpleString
from epaxos.resp.commands.described import Described, described
from epaxos.resp.commands.spec import Served, Subcommand, map_of
from epaxos.resp.interfaces import ICommandTable

__all__ = ["CommandTable"]

_CATEGORIES = 6
"""Where an entry has the categories."""
_GROUPS = {"keyspace": "generic"}
"""The groups of COMMAND DOCS whose names are not those of categories."""


@implementer(ICommandTable)
class CommandTable:
    """The commands of the replica, `infos`, and those that a connection answers, `served`."""

    def __init__(self, infos: Sequence[CommandInfo], served: Mapping[bytes, Served]) -> None:
        own = {name: described(name) for name in served}
        self.entries: dict[bytes, list[Reply]] = {
            **{info.name.encode(): _replica_entry(info) for info in infos},
            **{name.lower(): _session_entry(name, served[name], about) for name, about in own.items()},
        }
        """The entries by the names of the commands in lower case."""
        self.sentences: dict[bytes, Reply] = {
            **{info.name.encode(): _replica_docs(info) for info in infos},
            **{name.lower(): _session_docs(name, served[name], about) for name, about in own.items()},
        }
        """What COMMAND DOCS tells of each."""

    def in_category(self, name: bytes) -> list[Reply]:
        """See ICommandTable."""
        wanted = f"@{name.decode(errors='replace').lower()}"
        return [
            command
            for command, entry in self.entries.items()
            if isinstance(categories := entry[_CATEGORIES], list) and wanted in categories
        ]


def _entry(
    name: bytes,
    arity: int,
    keys: tuple[int, int, int],
    flags: Iterable[str],
    categories: Iterable[str],
    subcommands: list[Reply],
) -> list[Reply]:
    marks, groups = list(flags), [f"@{category.lstrip('@')}" for category in categories]
    groups.append("@fast" if "fast" in marks else "@slow")
    shown = (list(map(SimpleString, words)) for words in (marks, groups))
    return [name, arity, next(shown), *keys, next(shown), [], [], subcommands]


def _replica_entry(info: CommandInfo) -> list[Reply]:
    if info.subcommands:  # these alone have flags
        within: list[Reply] = [
            _entry(
                sub.name.encode(),
                sub.arity,
                (sub.key, sub.key, min(1, sub.key)),
                sub.flags,
                sub.categories,
                [],
            )
            for sub in info.subcommands
        ]
        return _entry(info.name.encode(), info.arity, (0, 0, 0), (), (), within)
    is_script = "scripting" in info.categories  # what it does depends on its text
    is_neither = "pubsub" in info.categories
    kinds = [] if is_neither or (is_script and info.writes) else ["write" if info.writes else "readonly"]
    groups = [] if is_neither or is_script else ["write" if info.writes else "read"]
    flags = [*kinds, *info.flags, *(["movablekeys"] if info.finds_keys else [])]
    keys = (info.first_key, info.last_key, info.key_step)
    return _entry(info.name.encode(), info.arity, keys, flags, (*groups, *info.categories), [])


def _session_entry(name: bytes, served: Served, about: Described) -> list[Reply]:
    within: list[Reply] = [
        _within(b"|".join([name, sub]).lower(), subcommand, about, sub in about.admin)
        for sub, subcommand in served.subcommands.items()
    ]
    arity = served.arity if about.arity is None else about.arity
    if within and served.handler is None:  # the subcommands alone have flags
        flags = [*(["admin"] if served.is_admin else []), *(["movablekeys"] if served.has_keys else [])]
        return _entry(name.lower(), arity, about.keys, flags, (), within)
    return _entry(name.lower(), arity, about.keys, about.flags, about.categories, within)


def _within(name: bytes, subcommand: Subcommand, about: Described, is_admin: bool) -> list[Reply]:
    flags = [flag for flag in about.flags if flag != "movablekeys"]
    if subcommand.handler is None:  # it runs another command, which names keys
        flags.append("movablekeys")
    categories = about.categories
    if is_admin:
        flags, categories = ["admin", *flags], ("admin", "dangerous", *categories)
    return _entry(name, subcommand.arity, (0, 0, 0), flags, categories, [])


def _replica_docs(info: CommandInfo) -> Reply:
    first = info.categories[0].lstrip("@") if info.categories else "server"
    return map_of(
        {
            b"summary": info.summary.encode(),
            b"since": str(info.since).encode(),
            b"group": _GROUPS.get(first, first).encode(),
            b"complexity": info.complexity.encode(),
            b"usage": info.usage.encode(),
        }
    )


def _session_docs(name: bytes, served: Served, about: Described) -> Reply:
    category = about.categories[-1] if about.categories else "server"
    group = "server" if category == "dangerous" else category
    common: dict[bytes, Reply] = {b"since": b"1", b"group": group.encode(), b"complexity": b"O(1)"}
    fields: dict[bytes, Reply] = {b"summary": about.summary.encode(), **common}
    if served.subcommands:
        fields[b"subcommands"] = map_of(
            {
                b"|".join([name, sub]).lower(): map_of({b"summary": subcommand.summary.encode(), **common})
                for sub, subcommand in served.subcommands.items()
            }
        )
    return map_of(fields)
