"""Writes what payloads are made of: lengths, and strings."""

from __future__ import annotations

from epaxos.statemachines.redis.dump.numbers import number_of

__all__ = ["encoded", "length_of"]


def length_of(length: int) -> bytes:
    """A length."""
    if length < 1 << 6:
        return bytes([length])
    if length < 1 << 14:
        return (1 << 14 | length).to_bytes(2, "big")
    if length < 1 << 32:
        return b"\x80" + length.to_bytes(4, "big")
    return b"\x81" + length.to_bytes(8, "big")


def encoded(text: bytes) -> bytes:
    """A string; as a number where it is the text of one of at most 32 bits."""
    number = number_of(text)
    if number is not None:
        for form in range(3):
            bits = 8 << form
            if -(1 << bits - 1) <= number < 1 << bits - 1:
                return bytes([0xC0 | form]) + number.to_bytes(1 << form, "little", signed=True)
    return length_of(len(text)) + text
