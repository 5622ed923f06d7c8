"""About how much memory keys take: their bytes, and what a replica needs to hold them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from epaxos.statemachines.redis.elements import SIZES, WIDTHS, elements_of
from epaxos.statemachines.redis.values import Collection, Stored

__all__ = ["DEADLINE_BYTES", "KEY_BYTES", "collection_bytes", "size_of_shard"]

KEY_BYTES = 104
"""About the memory of a key beside its own bytes and those of its value: two heads of `bytes`, and a place
in a dictionary that is two thirds full."""
DEADLINE_BYTES = 56
PACKED_BYTES = 2
ELEMENT_BYTES = 85
"""Of each element of a collection, beside its own bytes: in one piece with the others, or alone."""
LARGE = 512
"""Collections with this number of elements are measured one by one; of the others SAMPLED of a shard are."""
SAMPLED = 32
MEASURED_MAX = 64


def collection_bytes(value: Collection) -> int:
    """About the bytes of a collection; those of a large one as if all its elements were like the first."""
    if value.type_name in SIZES:
        return SIZES[value.type_name](value)
    for some in elements_of(value):
        overhead = PACKED_BYTES if value.encoding == "listpack" else ELEMENT_BYTES
        elements = len(value) * WIDTHS[value.type_name]
        return (sum(map(len, some)) + overhead * len(some)) * elements // len(some)
    return 0


def size_of_shard(shard: Mapping[bytes, Stored]) -> tuple[int, int]:
    """About the bytes of these keys, and how much work it was to find out: 1 is a string."""
    size = KEY_BYTES * len(shard) + sum(map(len, shard))
    values: Any = shard.values()
    if {bytes}.issuperset(map(type, values)):
        return size + sum(map(len, values)), len(shard)
    plain = [value[0] if type(value) is tuple else value for value in values]
    size += DEADLINE_BYTES * sum(type(value) is tuple for value in values)
    collections = [value for value in plain if isinstance(value, Collection)]
    size += sum(len(value) for value in plain if not isinstance(value, Collection))
    return size + _sum_of(collections), 4 * len(shard) + 128 * min(len(collections), SAMPLED + MEASURED_MAX)


def _sum_of(collections: list[Collection]) -> int:
    """The bytes of all: of small ones, and of large ones beyond MEASURED_MAX, as the samples tell."""
    large = [value for value in collections if len(value) >= LARGE][:MEASURED_MAX]
    size = sum(map(collection_bytes, large))
    measured = {id(value) for value in large}
    rest = [value for value in collections if id(value) not in measured]
    samples = list(islice(rest, 0, None, len(rest) // SAMPLED + 1))
    elements = sum(map(len, samples))
    if elements:
        size += sum(map(collection_bytes, samples)) * sum(map(len, rest)) // elements
    return size
