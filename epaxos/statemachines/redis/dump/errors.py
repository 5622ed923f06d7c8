"""What is wrong with a payload."""

from __future__ import annotations

__all__ = ["BadData", "BadPayload", "DumpError"]


class DumpError(Exception):
    """A payload that cannot be read."""


class BadPayload(DumpError):
    """It is of a later version, or its checksum is wrong."""


class BadData(DumpError):
    """It is not what it says, or it is of a type that is not served.  The text says which."""
