"""Places on the earth: as whole numbers of 52 bits, and how far they are from each other, as Redis has them.

Whether a member is within a distance decides what GEOSEARCHSTORE stores.  So sines and their like are summed
here, by operations that IEEE 754 defines to the last bit, and no libm has a say.
"""

from __future__ import annotations

from math import factorial, pi, sqrt

__all__ = [
    "LATITUDE_MAX", "LONGITUDE_MAX", "cells_around", "distance", "hash_text_of", "is_in_box", "place_of",
    "score_of_place",
]  # fmt: skip

LONGITUDE_MAX, LATITUDE_MAX = 180.0, 85.05112878
RADIUS_M = 6372797.560856
_BITS = 26
_SIDE = 1 << _BITS
_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"
_RADIANS = pi / 180
_CELLS = 64
"""About the most ranges of scores in which a search looks."""


# -- sums of series


_SIN = [(-1) ** n / factorial(2 * n + 1) for n in range(12)][::-1]
_ASIN = [factorial(2 * n) / (4**n * factorial(n) ** 2 * (2 * n + 1)) for n in range(26)][::-1]
"""The factors of odd powers, the highest first.  A quotient of whole numbers is rounded right."""


def _sum(factors: list[float], x: float) -> float:
    square, total = x * x, 0.0
    for factor in factors:
        total = total * square + factor
    return total * x


def _sin(x: float) -> float:
    """Of an angle from -pi to pi."""
    if abs(x) > pi / 2:
        x = pi - x if x > 0 else -pi - x
    return _sum(_SIN, x)


def _cos(x: float) -> float:
    half = _sin(x / 2)
    return 1 - 2 * half * half


def _asin(x: float) -> float:
    """Of a number from 0 to 1."""
    return pi / 2 - 2 * _asin(sqrt(max(0.0, (1 - x) / 2))) if x > 0.5 else _sum(_ASIN, x)


# -- places


def _spread(number: int) -> int:
    """The bits of a number, each with a 0 before it."""
    return int(f"{number:b}", 4)


def _every_other(number: int) -> int:
    """What `_spread` has made this of, whatever the other bits are."""
    return int(f"{number & 0x5555555555555555:b}"[::-1][::2][::-1], 2)


def _offset(value: float, most: float) -> int:
    return int((value + most) / (2 * most) * _SIDE)


def score_of_place(longitude: float, latitude: float, latitude_max: float = LATITUDE_MAX) -> int:
    """The whole number of a place, whose longitude has the higher one of each pair of bits.

    The easternmost and the northernmost places have a bit more, as in Redis.
    """
    x, y = _offset(longitude, LONGITUDE_MAX), _offset(latitude, latitude_max)
    return _spread(x) << 1 | _spread(y)


def _middle(number: int, most: float) -> float:
    low = -most + number / _SIDE * (2 * most)
    high = -most + (number + 1) / _SIDE * (2 * most)
    return max(-most, min(most, (low + high) / 2))


def place_of(score: float) -> tuple[float, float]:
    """The longitude and latitude of the middle of what a number stands for; any number stands for some."""
    bits = int(max(0.0, min(score, 2.0**54)))
    return _middle(_every_other(bits >> 1), LONGITUDE_MAX), _middle(_every_other(bits), LATITUDE_MAX)


def hash_text_of(score: float) -> bytes:
    """The geohash of eleven characters that others know, which has latitudes up to the poles."""
    bits = score_of_place(*place_of(score), 90.0)
    indexes = [bits >> 52 - 5 * place & 31 for place in range(1, 11)]
    return bytes([_ALPHABET[index] for index in indexes]) + b"0"


# -- distances


def distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """In metres."""
    v = _sin((other[0] - one[0]) * _RADIANS / 2)
    if v == 0.0:
        return RADIUS_M * abs(other[1] - one[1]) * _RADIANS
    u = _sin((other[1] - one[1]) * _RADIANS / 2)
    a = u * u + _cos(one[1] * _RADIANS) * _cos(other[1] * _RADIANS) * v * v
    return 2.0 * RADIUS_M * _asin(min(1.0, sqrt(a)))


def is_in_box(middle: tuple[float, float], place: tuple[float, float], width: float, height: float) -> bool:
    """Whether a place is in a box with this middle, in metres."""
    if RADIUS_M * abs(place[1] - middle[1]) * _RADIANS > height / 2:
        return False
    return distance((middle[0], place[1]), place) <= width / 2


def cells_around(middle: tuple[float, float], width: float, height: float) -> list[tuple[int, int]]:
    """Ranges of scores, the end of each not included, that have every place in a box around `middle`.

    The box is at least as large as the one of this width and height in metres.
    """
    longitude, latitude = middle
    high = height / 2 / RADIUS_M / _RADIANS * 1.001 + 1e-6
    south, north = max(-LATITUDE_MAX, latitude - high), min(LATITUDE_MAX, latitude + high)
    narrowest = _cos(min(90.0, max(abs(latitude - high), abs(latitude + high))) * _RADIANS)
    wide = 360.0
    if narrowest > 0:
        wide = width / 2 / RADIUS_M / _RADIANS / narrowest * 1.001 + 1e-6
    if wide >= 60:  # the arc and its chord differ too much, or it goes around a pole
        spans = [(-LONGITUDE_MAX, LONGITUDE_MAX)]
    else:
        spans = [(longitude - wide + turn, longitude + wide + turn) for turn in (-360.0, 0.0, 360.0)]
    found: list[tuple[int, int]] = []
    for west, east in spans:
        west, east = max(-LONGITUDE_MAX, west), min(LONGITUDE_MAX, east)
        if west <= east:
            x, y = _offset(west, LONGITUDE_MAX), _offset(south, LATITUDE_MAX)
            found += _cells(x, y, _offset(east, LONGITUDE_MAX), _offset(north, LATITUDE_MAX))
    return sorted(set(found))


def _cells(west: int, south: int, east: int, north: int) -> list[tuple[int, int]]:
    """The squares of one size, few of them, that cover a rectangle of the grid."""
    bits = _BITS
    while (
        bits
        and ((east >> bits - 1) - (west >> bits - 1) + 1) * ((north >> bits - 1) - (south >> bits - 1) + 1)
        <= _CELLS
    ):
        bits -= 1
    found = []
    for x in range(west >> bits, (east >> bits) + 1):
        for y in range(south >> bits, (north >> bits) + 1):
            start = (_spread(x) << 1 | _spread(y)) << 2 * bits
            found.append((start, start + (1 << 2 * bits)))
    return found
