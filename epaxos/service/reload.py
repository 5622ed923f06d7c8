"""What a replica does at SIGHUP: it follows its configuration file, as far as that needs no restart.

All of it or nothing: a file that is of no use, this one or one that it names, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from twisted.logger import Logger

from epaxos.config.model import Config, ConfigError
from epaxos.config.settings import SECTIONS
from epaxos.service.followed import Followed

__all__ = ["LIVE", "Reloading"]

_FILES_AND_TOKEN = (
    *("ca", "certificate", "key"),
    *("tls_certificate", "tls_key", "tls_ca", "tls_auth_clients"),
    "status_token",
)
LIVE: Mapping[str, Sequence[str]] = {
    **{
        name: [key for key, setting in section.settings.items() if setting.is_live]
        for name, section in SECTIONS.items()
    },
    "security": _FILES_AND_TOKEN,
}
"""The settings that a replica follows without a restart, by their sections."""


class Reloading:
    """Reads the configuration of replica `id` again, by `read`; None: it is in no file."""

    _log = Logger()

    def __init__(self, followed: Followed, id: int, read: Callable[[], Config] | None) -> None:
        self._followed = followed
        self._id = id
        self._read = read

    def reload(self) -> None:
        """Read the file, and have all parts follow it, or none.  The log says in one line which it was."""
        if self._read is None:
            return
        try:
            given = self._read()
            given.replica(self._id)
            before = self._followed.config
            config = _with_live(before, given)
            self._followed.take(config)
        except ConfigError as error:
            self._log.error("reload: nothing is changed: {why}", why=str(error))
            return
        changed = [*_differences(before, config, self._id)]
        rest = [*_differences(config, given, self._id)]
        self._log.info(
            "reload: {path}: {what}",
            path=config.path,
            what="; ".join(
                [
                    f"changed: {', '.join(changed)}" if changed else "no setting is changed",
                    *([f"a restart is needed for: {', '.join(rest)}"] if rest else []),
                ]
            ),
        )


def _with_live(now: Config, given: Config) -> Config:
    """The configuration of now, with what can change as it is in `given`."""
    changes: dict[str, Any] = {
        section: replace(
            getattr(now, section), **{name: getattr(getattr(given, section), name) for name in names}
        )
        for section, names in LIVE.items()
    }
    return replace(now, **changes)


def _differences(one: Config, other: Config, id: int) -> Iterator[str]:
    """The settings that replica `id` has another value for, each with its section.  Not the values, because
    some are secret."""
    pairs: list[tuple[str, Any, Any]] = [
        (section, getattr(one, section), getattr(other, section)) for section in (*SECTIONS, "state_machine")
    ]
    pairs.append((f"replica {id}", one.replica(id), other.replica(id)))
    for section, before, after in pairs:
        if before == after:
            continue
        if isinstance(before, type(one.state_machine)):
            names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        else:
            names = [each.name for each in fields(before)]
            names = [name for name in names if getattr(before, name) != getattr(after, name)]
        yield from (f"[{section}] {name}" for name in names)
