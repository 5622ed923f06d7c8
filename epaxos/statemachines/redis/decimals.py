"""Numbers that are not integers: exact decimals of 17 places, where Redis has what its processor gives.

So every replica comes to the same digits, and 0.1 + 0.2 is 0.3.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

from epaxos.interfaces import CommandError

__all__ = ["NOT_A_FLOAT", "added", "decimal_of"]

NOT_A_FLOAT = "ERR value is not a valid float"
PLACES = 17
"""Digits behind the point, as Redis prints."""
DIGITS_MAX = 309
"""Digits before the point; more are none of a number that others could read, as a double ends there."""
TEXT_BYTES_MAX = 512
_NUMBER = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?")
_CONTEXT = Context(prec=DIGITS_MAX + PLACES + 1, rounding=ROUND_HALF_EVEN, traps=[])
_LAST_PLACE = Decimal(1).scaleb(-PLACES)


def decimal_of(text: bytes) -> Decimal | None:
    """The number in `text`; None where there is none."""
    if len(text) > TEXT_BYTES_MAX or not _NUMBER.fullmatch(text):
        return None
    number = _CONTEXT.create_decimal(text.decode())
    return number if number.is_finite() and number.adjusted() < DIGITS_MAX else None


def added(number: Decimal, increment: Decimal) -> bytes:
    """The sum, as text.  Raises CommandError where it has too many digits."""
    total = _CONTEXT.quantize(_CONTEXT.add(number, increment), _LAST_PLACE)
    if not total.is_finite() or total.adjusted() >= DIGITS_MAX:
        raise CommandError("ERR increment would produce NaN or Infinity")
    text = f"{total:f}".rstrip("0").rstrip(".")
    return b"0" if text in ("-0", "") else text.encode()
