"""The modules that docs: using/state-machines and docs: using/embedded tell readers to write."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["ROOT", "fenced", "module_of", "page", "write_modules"]

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    """The text of a page below docs/using."""
    return (ROOT / "docs" / "using" / f"{name}.md").read_text(encoding="utf-8")


def fenced(text: str, language: str) -> list[str]:
    """The fenced blocks of a page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def module_of(text: str, name: str) -> str:
    """The block of Python that follows the first mention of a file.  Raises ValueError."""
    _, _, rest = text.partition(f"`{name}`")
    return fenced(rest, "python")[0]


def write_modules(folder: Path) -> Path:
    """Write the machines of the pages, and the plugin, into a folder, as readers would.  Returns it."""
    text = page("state-machines")
    (folder / "twisted" / "plugins").mkdir(parents=True)
    for name in ("counter.py", "locks.py", "leaderboard.py", "twisted/plugins/counter_plugin.py"):
        (folder / name).write_text(module_of(text, name))
    return folder
