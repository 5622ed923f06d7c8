"""The names of keys for the protocol: two commands interfere when one writes a name that the other has."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["DATABASES", "SCRIPTS_NAME", "keys_named", "name_of"]

DATABASES = 16
"""As many as Redis has by default."""

SCRIPTS_NAME = b"\0scripts"
"""Whoever changes the table of scripts writes this name, and whoever runs a script by its SHA has it: in all
databases the same, because there is one table."""


def name_of(database: int, key: bytes) -> bytes:
    """The name of a key.  In database 0 it is the key; a client that names another key like the name of one
    in another database only makes its commands wait for those on that one."""
    return key if not database or key == SCRIPTS_NAME else b"\0%d\0%b" % (database, key)


def keys_named(name: bytes) -> Sequence[bytes]:
    """The keys that may have this name, in whatever database."""
    if name[:1] != b"\0":
        return (name,)
    number, parted, key = name[1:].partition(b"\0")
    return (name, key) if parted and number.isdigit() else (name,)
