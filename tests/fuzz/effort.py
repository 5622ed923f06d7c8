"""How many examples hypothesis tries: the same few in every test run, more and new ones on demand.

`FUZZ_FACTOR=100 make pytest` tries a hundred times as many, other ones each time, and keeps failures in
`.hypothesis/`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

__all__ = ["FACTOR", "effort"]

FACTOR = max(1, int(os.environ.get("FUZZ_FACTOR", "1")))


def effort(examples: int, **options: int) -> settings:
    """The settings of a test that tries `examples`."""
    fixed = {"derandomize": True, "database": None} if FACTOR == 1 else {}
    return settings(
        max_examples=examples * FACTOR,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        **fixed,
        **options,
    )
