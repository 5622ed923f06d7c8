"""What all programs in Python have in common."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["PORTS", "halfway", "need", "same"]

PORTS = list(map(int, sys.argv[1:]))


def need(*modules: str) -> list[Any]:
    """These modules; ends the program where one is not installed."""
    try:
        return [import_module(module) for module in modules]
    except ImportError as error:
        print(f"not installed: {error.name}")
        sys.exit(77)


def halfway() -> None:
    """Wait until the test goes on."""
    print("halfway", flush=True)
    sys.stdin.readline()


def same(found: object, expected: object) -> None:
    """Fail where they are not equal."""
    assert found == expected, f"{found!r}, not {expected!r}"
