"""Judges that all replicas tell the messages of a channel in one order, and leave none out.

Whoever listens at one process of a replica hears a slice of the one order of the channel.  So behind a
message comes the same one for everybody who hears both, and nobody hears a message twice.  A process that
starts again may begin before the place where the one before it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zope.interface import implementer

from epaxos.interfaces.audience import IAudience, Message

__all__ = ["ChannelJudge", "Listener"]

_Channel = tuple[bytes, bool]
_Said = tuple[_Channel, bytes]


class ChannelJudge:
    """No two messages of a channel are the same.  `violated(text)` is called for each breach."""

    def __init__(self, violated: Callable[[str], None]) -> None:
        self._violated = violated
        self._behind: dict[_Said, bytes] = {}
        self._before: dict[_Said, bytes] = {}
        self.heard = 0
        """How many messages were heard, by all together."""

    def listener(self, name: str) -> IAudience:
        """Somebody who hears everything that one process says."""
        listener: IAudience = IAudience(Listener(name, self))
        return listener

    def hear(self, name: str, channel: _Channel, first: bytes, second: bytes) -> None:
        """`name` hears these messages, one behind the other."""
        self._compare(name, self._behind.setdefault((channel, first), second), second, f"behind {first!r}")
        self._compare(name, self._before.setdefault((channel, second), first), first, f"before {second!r}")
        if self._behind.get((channel, second)) == first:
            self._violated(f"Channels: {name} hears {first!r} before {second!r}, and somebody else behind it")

    def _compare(self, name: str, known: bytes, heard: bytes, where: str) -> None:
        if known != heard:
            self._violated(f"Channels: {name} hears {heard!r} {where}, and somebody else {known!r}")

    def twice(self, name: str, text: bytes) -> None:
        """`name` hears a message again."""
        self._violated(f"Channels: {name} hears {text!r} again")


@implementer(IAudience)
class Listener:
    """See ChannelJudge."""

    is_empty = False

    def __init__(self, name: str, judge: ChannelJudge) -> None:
        self._name = name
        self._judge = judge
        self._last: dict[_Channel, bytes] = {}
        self._heard: set[_Said] = set()

    def receivers(self, channel: bytes, is_sharded: bool = False) -> int:
        """See IAudience."""
        return 1

    def tell(self, messages: Sequence[Message]) -> None:
        """See IAudience."""
        for name, text, is_sharded in messages:
            channel = name, is_sharded
            self._judge.heard += 1
            if (channel, text) in self._heard:
                self._judge.twice(self._name, text)
            elif channel in self._last:
                self._judge.hear(self._name, channel, self._last[channel], text)
            self._heard.add((channel, text))
            self._last[channel] = text
