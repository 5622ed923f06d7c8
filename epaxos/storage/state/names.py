"""The names of the files of the state: `3.base` and `3.log` are of generation 3; and how many they have."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["base_path", "bytes_freed", "file_of", "found_in", "links_of", "log_path", "part_path"]

_NAME = re.compile(r"(0|[1-9][0-9]{0,17})\.(base|log)")


def base_path(folder: Path, generation: int) -> Path:
    """The base of this generation."""
    return folder / f"{generation}.base"


def log_path(folder: Path, generation: int) -> Path:
    """The log of this generation."""
    return folder / f"{generation}.log"


def part_path(folder: Path, generation: int, is_base: bool) -> Path:
    """The file of this name."""
    return base_path(folder, generation) if is_base else log_path(folder, generation)


def file_of(name: str) -> tuple[int, bool]:
    """The generation that a name says, and whether it is of a base.  Raises ValueError for any other name."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is no file of a state")
    return int(found[1]), found[2] == "base"


def links_of(path: Path) -> int:
    """How many names the file has, those in backups as well; 0 when there is none.  Raises OSError."""
    try:
        return path.stat().st_nlink
    except FileNotFoundError:
        return 0


def bytes_freed(path: Path) -> int:
    """The bytes that the disk gets back with this name: none while the file has another.  Raises OSError."""
    found = path.stat()
    return found.st_size if found.st_nlink == 1 else 0


def found_in(folder: Path) -> list[Path]:
    """All files in the folder whose names are of this form, in order.  Raises OSError."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
