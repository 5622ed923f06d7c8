"""The interpreters that the tests are run on: `python -m tests.pythons` names the oldest and the newest.

They are looked for on the PATH and among pyenv's; the highest patch of each minor version counts.  It
runs on any Python from 3.10 on, without a package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["MINORS", "interpreters", "oldest_and_newest"]

MINORS = (10, 11, 12, 13)
"""The minor versions of Python 3 on which the product is tested."""
ASK = "import ensurepip, sys; print(*sys.version_info[:3])"


def _version(interpreter: str) -> tuple[int, ...] | None:
    """None when it does not run, or cannot make an environment."""
    try:
        done = subprocess.run([interpreter, "-c", ASK], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


def _candidates() -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    names = [shutil.which(f"python3.{minor}") for minor in MINORS]
    found = [sys._base_executable, sys.executable, *filter(None, names)]  # type: ignore[attr-defined]
    return [*found, *map(str, sorted(root.glob("versions/3.*/bin/python3")))]


def interpreters() -> dict[int, str]:
    """By the minor version, in order."""
    best: dict[int, tuple[tuple[int, ...], str]] = {}
    for candidate in dict.fromkeys(_candidates()):
        version = _version(candidate)
        if version is None or version[0] != 3 or version[1] not in MINORS:
            continue
        if version[1] not in best or version > best[version[1]][0]:
            best[version[1]] = (version, candidate)
    return {minor: best[minor][1] for minor in sorted(best)}


def oldest_and_newest() -> list[str]:
    """Two of them; one where there is only one."""
    found = list(interpreters().values())
    return found if len(found) < 2 else [found[0], found[-1]]


if __name__ == "__main__":
    print(*oldest_and_newest())
