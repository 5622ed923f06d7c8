"""Judges that the writes of one connection take effect in the order in which they were sent.

A connection writes the numbers 1, 2, 3, … to its keys in turn, without waiting for answers.  When number m
has taken effect, so have all before it.  So whoever sees m in one key, and then asks for another key, must
see at least the last number up to m that was written to that one; and what one command sees of all keys
together is what some first numbers have left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from epaxos.interfaces import Reply

__all__ = ["ProgramOrderJudge"]


class ProgramOrderJudge:
    """`keys`: how many each connection has.  `violated(text)` is called for each breach."""

    def __init__(self, keys: int, violated: Callable[[str], None]) -> None:
        self._keys = keys
        self._violated = violated
        self._seen: dict[str, int] = {}

    def seen(self, connection: str) -> int:
        """The highest number of this connection that anybody has seen: whoever asks now must see its like."""
        return self._seen.get(connection, 0)

    def look(self, connection: str, seen_before: int, replies: Mapping[int, Reply]) -> None:
        """Somebody has seen these values of keys of a connection, by their places, in one command.

        `seen_before`: what `seen` said before the command was sent.
        """
        numbers: dict[int, int] = {}
        for place, reply in replies.items():
            if not (reply is None or (isinstance(reply, bytes) and reply.isdigit())):
                self._violated(f"Program order: {connection} has {reply!r} in the key {place}")
                return
            numbers[place] = int(reply or 0)
        highest = max([seen_before, *numbers.values()])
        for place, number in numbers.items():
            least = self._last_up_to(highest, place)
            if number < least:
                self._violated(
                    f"Program order: of {connection}, number {highest} was seen, and then the key {place} has"
                    f" {number}, and not {least}, which was sent before"
                )
        self._seen[connection] = max(self.seen(connection), *numbers.values())

    def _last_up_to(self, number: int, place: int) -> int:
        """The last number up to `number` that was written to the key at `place`; 0 when there is none."""
        last = number - (number - place) % self._keys
        return max(0, last)
