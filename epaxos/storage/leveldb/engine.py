"""The binding of LevelDB.  Nothing else imports it.

plyvel has wheels for CPython up to 3.12, and for few platforms; plyvel-next, a maintained fork with the
same interface, has wheels for 3.12 and newer.  setup.cfg installs plyvel below 3.12 and plyvel-next from
3.12 on.  If only the other one is installed, it is used; both write the same files.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["DB", "NAME", "CorruptionError", "Error", "IOError", "find"]


def find(version: tuple[int, ...]) -> Any:
    """The module of the binding on this version of Python.  Raises ModuleNotFoundError."""
    names = ["plyvel", "plyvel_next"]
    if version >= (3, 12):
        names.reverse()
    try:
        return import_module(names[0])
    except ModuleNotFoundError:
        return import_module(names[1])


_binding = find(sys.version_info[:2])
NAME: str = _binding.__name__
DB: Any = _binding.DB
Error: type[Exception] = _binding.Error
CorruptionError: type[Exception] = _binding.CorruptionError
IOError: type[Exception] = _binding.IOError
