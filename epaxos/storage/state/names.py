"""The names of the files of the state: `3.base` and `3.log` are of generation 3."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["base_path", "found_in", "log_path"]

_NAME = re.compile(r"(0|[1-9][0-9]{0,17})\.(base|log)")


def base_path(folder: Path, generation: int) -> Path:
    """The base of this generation."""
    return folder / f"{generation}.base"


def log_path(folder: Path, generation: int) -> Path:
    """The log of this generation."""
    return folder / f"{generation}.log"


def found_in(folder: Path) -> list[Path]:
    """All files in the folder whose names are of this form, in order.  Raises OSError."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
