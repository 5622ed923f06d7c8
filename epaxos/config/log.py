"""The settings of `[log]`, and the kind of its levels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from epaxos.config.declaring import setting
from epaxos.config.kinds import OneOf

__all__ = ["LEVELS", "Levels", "Log"]

Levels = tuple[tuple[str, str], ...]
"""Parts, and the lowest level of each."""

_LEVELS = OneOf(("debug", "info", "warn", "error", "critical"))
_PACKAGE = Path(__file__).parents[1]
_EXAMPLE = "epaxos.transport: warn, twisted: error"


class _PartLevels:
    """The lowest levels of parts."""

    def read(self, text: str) -> Levels:
        """See Kind."""
        pairs = dict(self._pair(each.strip()) for each in text.split(",")) if text else {}
        if text and len(pairs) != text.count(",") + 1:
            raise ValueError("a part is there twice")
        return tuple(pairs.items())

    @staticmethod
    def _pair(text: str) -> tuple[str, str]:
        part, _, level = (word.strip() for word in text.partition(":"))
        if not re.fullmatch(r"\w+(\.\w+)*", part, re.ASCII):
            raise ValueError(f"is not PART: LEVEL, …; a valid one is {_EXAMPLE}")
        if not _is_part(part):
            raise ValueError(f"there is no part {part}")
        try:
            return part, _LEVELS.read(level)
        except ValueError as why:
            raise ValueError(f"the level of {part} {why}") from None

    def show(self, value: Levels) -> str:
        """See Kind."""
        return ", ".join(f"{part}: {level}" for part, level in value)

    def allowed(self) -> str:
        """See Kind."""
        return f"none, or PART: LEVEL, …, of {_LEVELS.allowed()}"


def _is_part(name: str) -> bool:
    """Whether something logs under this name, as far as it is known: other programs have parts, too."""
    first, *rest = name.split(".")
    if first != _PACKAGE.name or not rest:
        return True
    path = _PACKAGE.joinpath(*rest)
    return path.is_dir() or any(path.parent.glob(f"{path.name}.*"))


LEVELS = _PartLevels()


@dataclass(frozen=True)
class Log:
    """`[log]`: what a replica writes to its log, and how.

    A program that has a replica in it decides that itself.
    """

    format: str = setting(
        "text",
        OneOf(("text", "json")),
        "Whether a line is text for people, or a JSON object with every value in a field of its own.",
        "The objects are those of twisted.logger, with the text as log_text.",
    )
    levels: Levels = setting(  # noqa: RUF009  # it is a field
        (),
        LEVELS,
        "The lowest level at which a part is logged; a part without one: info.",
        f"As in {_EXAMPLE}.  A part is a package or module, and what is in it; the longest name counts.",
        is_live=True,
    )
