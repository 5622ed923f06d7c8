"""Text of the docs wraps at 100 columns: `python -m tests.wrapping` wraps every page anew.

Paragraphs and items of lists are wrapped.  Generated pages, and tables, code, headings and comments of the
others stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["COLUMNS", "too_long", "wrapped"]

COLUMNS = 100
ROOT = Path(__file__).parents[1]
ITEM = re.compile(r"(\s*)([-*]|\d+\.) +")
BEGINS = re.compile(r"([-*+#>|]|\d+\.)(\s|$)")
KEPT = re.compile(r"\s*(\||#|<|!\[|:::)|    ")
"""Tables, headings, comments, pictures; and code by its indent, where no item is open."""


def _blocks(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Runs of lines that belong together, and whether they are text that may be wrapped."""
    block: list[str] = []
    fenced = commented = in_list = False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        commented = commented or line.startswith("<!--")
        in_list = bool(ITEM.match(line)) or (in_list and (not line or line.startswith(" ")))
        kept = (
            fence
            or fenced
            or commented
            or not line.strip()
            or (
                KEPT.match(line) is not None
                and not (in_list and line.startswith("    ") and "|" not in line[:6])
            )
        )
        if kept or ITEM.match(line):
            if block:
                yield True, block
            block = [] if kept else [line]
            if kept:
                yield False, [line]
        else:
            block.append(line)
        fenced = fenced != fence
        commented = commented and "-->" not in line
    if block:
        yield True, block


def _words(text: str) -> list[str]:
    """The units between which a line may break: not within code or a link, nor before a mark of a list."""
    found: list[str] = []
    for word in re.findall(r"(?:`[^`]*`|\[[^\]]*\]\([^)]*\)|[^\s`\[]|[`\[])+", text):
        if found and BEGINS.match(word):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def _wrap(lines: list[str]) -> Iterator[str]:
    item = ITEM.match(lines[0])
    first = item[0] if item else re.match(r"\s*", lines[0])[0]  # type: ignore[index]
    rest = " " * len(first)
    line = first
    words = _words(" ".join([lines[0][len(first) :], *lines[1:]]))
    for word in words:
        if line.strip() and line != first and len(line) + 1 + len(word) > COLUMNS:
            yield line
            line = rest
        line += word if line in (first, rest) else f" {word}"
    yield line


def wrapped(text: str) -> str:
    """The page with its text wrapped."""
    return "\n".join(line for free, lines in _blocks(text) for line in (_wrap(lines) if free else lines))


def too_long(text: str) -> list[str]:
    """Lines of text that are longer than COLUMNS and could be broken."""
    return [
        line
        for free, lines in _blocks(text)
        for line in lines
        if free and len(line) > COLUMNS and len(_words(line)) > 1
    ]


def pages() -> list[Path]:
    """Every page, but for fragments of news, which are wrapped when they are put together."""
    return [
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted(ROOT.glob("*.md")),
        ROOT / "newsfragments" / "README.md",
    ]


if __name__ == "__main__":
    for page in (page for page in pages() if "<!-- generated" not in page.read_text(encoding="utf-8")):
        page.write_text(wrapped(page.read_text(encoding="utf-8")), encoding="utf-8")
