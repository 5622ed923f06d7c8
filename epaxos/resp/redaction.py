"""What nobody is shown of commands: passwords, and the ids of sessions, which are as good as passwords."""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import Command

__all__ = ["REDACTED", "is_secret_in"]

REDACTED = b"(redacted)"
"""In the place of such a word, as with Redis."""
_WITH_SESSION = frozenset([b"ONCE", b"SESSION"])


def is_secret_in(command: Command) -> Callable[[int], bool]:
    """Whether the word at this place of the command is a secret."""
    name = command[0].upper()
    inner = command[1].upper() if len(command) > 1 else b""
    if name == b"AUTH":
        return lambda number: number > 0
    if name == b"ACL" and inner == b"SETUSER":
        return lambda number: number > 1
    if name == b"EPAXOS" and inner in _WITH_SESSION:
        return lambda number: number == 2
    if name == b"HELLO":
        places = [number for number, word in enumerate(command) if word.upper() == b"AUTH"]
        return lambda number: any(place < number <= place + 2 for place in places)
    return lambda number: False
