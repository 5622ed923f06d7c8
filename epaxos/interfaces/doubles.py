"""How a double is written for clients: in the fewest digits that stand for it, in the form of Redis 7.2.

Python finds the digits with code of its own, so they are the same on every platform.
"""

from __future__ import annotations

__all__ = ["text_of_double"]

_EXACT_BELOW = 2.0**62
"""Whole numbers up to here are written with all digits."""


def text_of_double(number: float) -> bytes:
    """The text of a number that is not NaN."""
    if number.is_integer() and -_EXACT_BELOW <= number <= _EXACT_BELOW:
        return b"%d" % int(number)
    text = repr(number)
    if text[-1] == "f":  # inf
        return text.encode()
    mantissa, _, exponent = text.partition("e")
    whole, _, places = mantissa.partition(".")
    if not exponent and (len(places) < 7 or 1e-3 <= abs(number) < 1e4):
        return text.encode()
    sign = "-" if number < 0 else ""
    digits = (whole.lstrip("-") + places).lstrip("0")
    shift = int(exponent or "0") - len(places)
    shown = digits.rstrip("0")
    shift += len(digits) - len(shown)
    return (sign + _positioned(shown, shift)).encode()


def _positioned(digits: str, shift: int) -> str:
    """`digits`, the last of which stands at 10 ** `shift`."""
    exponent = shift + len(digits) - 1
    if shift >= 0 and exponent < len(digits) + 7:
        return digits + "0" * shift
    if shift < 0 and (shift > -7 or abs(exponent) < 4):
        point = len(digits) + shift
        return f"{digits[:point]}.{digits[point:]}" if point > 0 else f"0.{'0' * -point}{digits}"
    return f"{digits[0]}{'.' if len(digits) > 1 else ''}{digits[1:]}e{exponent:+d}"
