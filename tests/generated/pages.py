"""Which pages are generated, and by what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.generated.commands import commands
from tests.generated.ctl import ctl
from tests.generated.errors import errors
from tests.generated.files import files
from tests.generated.metrics import metrics
from tests.generated.rooms import picture
from tests.generated.status import status
from tests.generated.wire import wire
from tests.wrapping import wrapped

__all__ = ["PAGES", "ROOT", "text_of"]

ROOT = Path(__file__).parents[2]
PAGES: dict[str, Callable[[], str]] = {
    "docs/internals/rooms.svg": picture,
    "docs/reference/commands.md": commands,
    "docs/reference/epaxosctl.md": ctl,
    "docs/reference/errors.md": errors,
    "docs/reference/files.md": files,
    "docs/reference/metrics.md": metrics,
    "docs/reference/status.md": status,
    "docs/reference/wire.md": wire,
}


def text_of(path: str) -> str:
    """The text that the page, or picture, has to hold."""
    text = PAGES[path]()
    return wrapped(text) if path.endswith(".md") else text
