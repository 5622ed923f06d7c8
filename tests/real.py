"""Which tests need real replicas, and which of these trial runs in `make test`.

A test is *real* when its module is in `tests/cluster`, or takes something from there (the harness that runs
real replicas), or says `REAL = True`.  pytest runs all of them in `make real`, a part of `make test-real`, by
its marker `real`.  trial takes the same path through them, so `make test` has it run those of CHOSEN alone:
`python -m tests.real` names the modules for it.  `trial tests` runs everything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import tests

__all__ = ["CHOSEN", "is_real", "modules_for_trial"]

CHOSEN = (
    "tests.cluster.test_execution",
    "tests.cluster.test_local_cluster",
    "tests.cluster.test_plan",
    "tests.cluster.test_record",
    "tests.cluster.test_turns",
)
"""Together about two minutes on two cores: a cluster of each transport, turns of the epoch, and what judges
the others."""


def is_real(module: ModuleType) -> bool:
    """Whether the tests of the module need more than this process."""
    if module.__name__.startswith("tests.cluster.") or getattr(module, "REAL", False):
        return True
    origins = (getattr(value, "__module__", None) or "" for value in vars(module).values())
    return any(origin.startswith("tests.cluster.") for origin in origins)


def _modules() -> Iterator[ModuleType]:
    """All modules of tests, by name."""
    names = [module.name for module in walk_packages(tests.__path__, "tests.")]
    return (import_module(name) for name in sorted(names) if name.rpartition(".")[2].startswith("test_"))


def modules_for_trial() -> tuple[list[str], list[str]]:
    """The names of the modules that trial runs in `make test`, and of those that it leaves out."""
    run: list[str] = []
    left: list[str] = []
    for module in _modules():
        (left if is_real(module) and module.__name__ not in CHOSEN else run).append(module.__name__)
    return run, left


if __name__ == "__main__":
    run, left = modules_for_trial()
    print(f"{len(left)} modules with real replicas are left to `make test-real`", file=sys.stderr)
    print(*run)
