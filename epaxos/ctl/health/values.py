"""One thing that is wrong with a cluster."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ERROR", "WARNING", "Finding"]

ERROR = "error"
"""Clients notice it, or data are in danger."""
WARNING = "warning"
"""It will become an error, or it is slower than it need be."""


class Finding(NamedTuple):
    """`code`: the same for all of one kind.  `members`: the numbers of those that it is about.  `what` is
    wrong, and `todo` what to do about it, each a sentence without a full stop."""

    severity: str
    code: str
    members: tuple[int, ...]
    what: str
    todo: str
