"""Which tests are for `make test-real` (pytest's marker `real`): those that need more than this process.

The rule needs no list.  A test is real when its module is in `tests/cluster`, or takes something from
there (the harness that runs real replicas), or says `REAL = True`.  trial runs them all.
"""

from __future__ import annotations

from types import ModuleType

import pytest


def is_real(module: ModuleType) -> bool:
    """Whether the tests of the module are for `make test-real`."""
    if module.__name__.startswith("tests.cluster.") or getattr(module, "REAL", False):
        return True
    origins = (getattr(value, "__module__", None) or "" for value in vars(module).values())
    return any(origin.startswith("tests.cluster.") for origin in origins)


def pytest_configure(config: pytest.Config) -> None:
    """See pytest."""
    config.addinivalue_line("markers", "real: needs more than this process (see tests/conftest.py)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See pytest."""
    for item in items:
        parent = item.getparent(pytest.Module)
        if parent is not None and is_real(parent.obj):
            item.add_marker("real")
