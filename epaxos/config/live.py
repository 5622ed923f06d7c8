"""The settings of a replica by the names that `CONFIG` has for them, and which of them change while it runs.

The name is that of Redis where Redis has the same setting, and else the section and the key:
`limits.request_timeout_s`, `replica.data`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from epaxos.config.kinds import Kind, Number
from epaxos.config.model import Config
from epaxos.config.settings import REPLICA, SECTIONS, Setting

__all__ = ["NAMES", "Named", "changed", "plain", "read", "values_of"]


_OF_REPLICA = "replica"


class Named(NamedTuple):
    """A setting in its section; that of a replica is in `replica`."""

    section: str
    key: str
    setting: Setting


def _all() -> Iterator[tuple[str, Named]]:
    sections = [(name, section.settings) for name, section in SECTIONS.items()]
    for section, settings in (*sections, (_OF_REPLICA, REPLICA.settings)):
        for key, setting in settings.items():
            if not setting.is_secret:
                yield setting.redis or f"{section}.{key}", Named(section, key, setting)


NAMES: Mapping[str, Named] = dict(_all())
"""All settings but passwords, by their names."""


def values_of(config: Config, id: int) -> dict[str, str]:
    """The values of the settings of replica `id`, by their names."""
    own = config.replica(id)
    return {
        name: plain(
            named.setting.kind,
            getattr(own if named.section == _OF_REPLICA else getattr(config, named.section), named.key),
        )
        for name, named in NAMES.items()
    }


def plain(kind: Kind, value: Any) -> str:
    """`value` as clients of Redis expect it: a number without marks between its digits."""
    if isinstance(kind, Number):
        return str(int(value)) if value == int(value) else repr(value)
    return str(kind.show(value))


def read(kind: Kind, text: str) -> Any:
    """The value that a client writes as `text`.  Raises ValueError, for numbers in the words of Redis."""
    if not isinstance(kind, Number):
        return kind.read(text)
    try:
        number = int(text) if kind.is_whole else float(text)
    except ValueError:
        what = "an integer" if kind.is_whole else "a number of seconds"
        raise ValueError(f"argument couldn't be parsed into {what}") from None
    if not kind.low <= number <= kind.high:
        low, high = plain(kind, kind.low), plain(kind, kind.high)
        raise ValueError(f"argument must be between {low} and {high} inclusive")
    return number


def changed(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with these values, by the names of their settings, none of which is a replica's."""
    sections: dict[str, Any] = {}
    for name, value in values.items():
        named = NAMES[name]
        before = sections.get(named.section) or getattr(config, named.section)
        sections[named.section] = replace(before, **{named.key: value})
    return replace(config, **sections)
