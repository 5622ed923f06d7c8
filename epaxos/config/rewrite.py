"""Values written into the text of a configuration file, whose comments and order stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["rewritten"]

_SECTION = re.compile(r"\s*\[([^\]]+)\]")


def rewritten(text: str, values: Mapping[tuple[str, str], str]) -> str:
    """The text with these values, each by its section and key.

    A key that the file has keeps its line, one that stands there as a comment follows that comment, any other
    one is the last of its section, and a section that is missing becomes the last one.
    """
    lines = text.splitlines(keepends=True)
    newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    for (section, key), value in values.items():
        _write(lines, section, key, value, newline)
    return "".join(lines)


def _write(lines: list[str], section: str, key: str, value: str, newline: str) -> None:
    start = next((number for number, line in enumerate(lines, 1) if _name_of(line) == section), None)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    if start is None:
        lines += [newline, f"[{section}]{newline}", f"{key} = {value}{newline}"]
        return
    end = next((number for number in range(start, len(lines)) if _name_of(lines[number])), len(lines))
    given = re.compile(rf"(\s*{re.escape(key)}\s*=[ \t]*)")
    for number in range(start, end):
        if found := given.match(lines[number]):
            lines[number] = f"{found[1]}{value}{newline}"
            return
    commented = re.compile(rf"\s*[;#]\s*{re.escape(key)}\s*=")
    at = next((number + 1 for number in range(start, end) if commented.match(lines[number])), None)
    if at is None:
        at = end
        while at > start and not lines[at - 1].strip():
            at -= 1
    lines.insert(at, f"{key} = {value}{newline}")


def _name_of(line: str) -> str:
    """The section that begins in this line; empty where none does."""
    found = _SECTION.match(line)
    return found[1] if found else ""
