"""Guesses from its first bytes which protocol a stream speaks, if not that of replicas."""

from __future__ import annotations

__all__ = ["guess_protocol"]

_HTTP = (b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI ", b"HTTP")
_REDIS = (b"PING", b"AUTH", b"HELL", b"INFO", b"SET ", b"QUIT", b"CLIE", b"COMM")
_TLS = (b"\x16\x03", b"\x15\x03")
"""A record of a handshake, and an alert."""


def guess_protocol(beginning: bytes) -> str | None:
    """The protocol that the first four bytes of a stream look like; None where they look like none."""
    upper = beginning.upper()
    if upper.startswith(_HTTP):
        return "HTTP"
    if beginning.startswith(_TLS):
        return "TLS"
    if upper.startswith(_REDIS) or (beginning[:1] == b"*" and beginning[1:2].isdigit()):
        return "a Redis command"
    if beginning[:1] in (b"+", b"-", b"$", b":") and beginning[1:2].isalnum():
        return "a Redis reply"
    return "SSH" if beginning.startswith(b"SSH-") else None
