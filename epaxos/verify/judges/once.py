"""Judges that each numbered command ran exactly once.

The clients of a run count keys up that nobody else touches, one for each number, and go on until each number
is answered.  So the counts say how often the numbers ran, and no two numbers of a key may get the same count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from epaxos.interfaces import CommandError, Reply

__all__ = ["OnceJudge"]

_Number = tuple[int, int]
"""A client, and a number of it."""


class OnceJudge:
    """`violated(text)` is called for each breach."""

    def __init__(self, violated: Callable[[str], None]) -> None:
        self._violated = violated
        self._keys: dict[_Number, bytes] = {}
        self._replies: dict[_Number, int] = {}
        self._by_count: dict[tuple[bytes, int], _Number] = {}

    def ask(self, client: int, number: int, key: bytes) -> None:
        """A client gives this number to an INCR of `key`."""
        self._keys[client, number] = key

    def answer(self, client: int, number: int, reply: Reply, is_late: bool) -> None:
        """The client has a reply.  `is_late`: it may have acknowledged this number, and ended the session,
        before that."""
        what = client, number
        key = self._keys[what]
        if isinstance(reply, CommandError) and is_late and str(reply).split()[0] in ("ONCELOST", "NOSESSION"):
            return
        if not isinstance(reply, int):
            self._violated(f"Once: number {number} of client {client} is answered with {reply!r}")
        elif self._replies.setdefault(what, reply) != reply:
            first = self._replies[what]
            self._violated(f"Once: number {number} of client {client} is answered with {first}, then {reply}")
        elif self._by_count.setdefault((key, reply), what) != what:
            other = self._by_count[key, reply]
            self._violated(f"Once: {other} and {what} (client, number) are both answered with {reply}")

    def judge(self, replica: int, state: Mapping[bytes, bytes]) -> None:
        """This is the state of a replica at rest."""
        for key, numbers in sorted(Counter(self._keys.values()).items()):
            count = int(state.get(key, b"0"))
            if count != numbers:
                self._violated(
                    f"Once: {key!r} was counted up under {numbers} numbers, and replica {replica} has {count}"
                )
