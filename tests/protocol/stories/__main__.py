"""Carries out stories and writes into them what comes out: `python -m tests.protocol.stories [NAME …]`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.protocol.stories.script import StoryError, rewritten

FOLDER = Path(__file__).parent


def main(names: list[str], folder: Path = FOLDER) -> int:
    """Rewrite these stories of a folder, or all.  The exit status: 1 when one cannot be carried out."""
    status = 0
    for path in [folder / f"{name}.txt" for name in names] or sorted(folder.glob("*.txt")):
        before = path.read_text()
        try:
            after = rewritten(before)
        except StoryError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            status = 1
            continue
        if after != before:
            path.write_text(after)
            print(f"{path.name}: written anew")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
