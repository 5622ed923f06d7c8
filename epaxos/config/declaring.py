"""How a setting is declared: as a field of the class that holds its section."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import MISSING, field
from typing import Any, NamedTuple

from epaxos.config.kinds import Kind

__all__ = ["Section", "Setting", "no_default", "secret", "section_of", "setting"]


class Setting(NamedTuple):
    """One setting.  `sentence` says what it sets; `more` is for those who want to change it.

    The value of a setting that `is_secret` is shown to nobody, not even in an error.  `is_live`: whether
    `CONFIG SET` changes it while the replica runs.  `redis`: the name that Redis has for it, if any.
    """

    kind: Kind
    sentence: str
    more: str = ""
    default: Any = MISSING
    is_required: bool = False
    is_secret: bool = False
    is_live: bool = False
    redis: str = ""


class Section(NamedTuple):
    """One section of the file: its settings in the order of the file, and the class that holds them."""

    name: str
    sentence: str
    holder: type
    settings: Mapping[str, Setting]


def setting(
    default: Any, kind: Kind, sentence: str, more: str = "", *, is_live: bool = False, redis: str = ""
) -> Any:
    """A field with this default."""
    declared = Setting(kind, sentence, more, default, is_live=is_live, redis=redis)
    return field(default=default, metadata={"setting": declared})


def secret(kind: Kind, sentence: str, more: str = "") -> Any:
    """A field for a text that nobody is shown, empty by default."""
    declared = Setting(kind, sentence, more, "", is_secret=True)
    return field(default="", repr=False, metadata={"setting": declared})


def no_default(kind: Kind, sentence: str, more: str = "", *, is_required: bool = True) -> Any:
    """A field without a default."""
    return field(metadata={"setting": Setting(kind, sentence, more, is_required=is_required)})


def section_of(name: str, holder: type) -> Section:
    """The section whose settings are declared as fields of `holder`."""
    sentence = (holder.__doc__ or "").partition("\n")[0].partition(": ")[2]
    settings = {each.name: each.metadata.get("setting") for each in dataclasses.fields(holder)}
    return Section(
        name,
        sentence[:1].upper() + sentence[1:],
        holder,
        {key: declared for key, declared in settings.items() if declared is not None},
    )
