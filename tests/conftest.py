"""pytest's marker `real` (see tests/real.py)."""

from __future__ import annotations

import pytest

from tests.real import is_real


def pytest_configure(config: pytest.Config) -> None:
    """See pytest."""
    config.addinivalue_line("markers", "real: needs more than this process (see tests/real.py)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See pytest."""
    for item in items:
        parent = item.getparent(pytest.Module)
        if parent is not None and is_real(parent.obj):
            item.add_marker("real")
