"""What the store says beside its replies: messages of PUBLISH, and events of keys.

Nothing of it is a part of the state.  It is gathered while a batch runs, so that what is taken back is never
heard, and handed to the audience of this replica once the batch is applied as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zope.interface import implementer

from epaxos.interfaces.audience import IAudience, Message
from epaxos.statemachines.redis.event_classes import classes_of

__all__ = ["Change", "Telling"]


class Change(NamedTuple):
    """A key that a command has changed: whether it was there before, and whether it is there now."""

    database: int
    key: bytes
    was: bool
    stays: bool


@implementer(IAudience)
class _Nobody:
    is_empty = True

    def receivers(self, channel: bytes, is_sharded: bool = False) -> int:
        """See IAudience."""
        return 0

    def tell(self, messages: Sequence[Message]) -> None:
        """See IAudience."""


_NOBODY: IAudience = IAudience(_Nobody())


class Telling:
    """The messages of the batch that runs.

    `events`: the classes of events that the setting `notify-keyspace-events` names, 0 for none.
    """

    def __init__(self) -> None:
        self.audience = self._audience = _NOBODY
        self.events = 0
        self._setting = b""
        self.is_kept = False
        """Whether the replies of the batch have to be the same at every replica."""
        self.is_recording = False
        """Whether the changes of keys matter, because somebody may hear of them."""
        self.changes: list[Change] = []
        """Those of the command that runs."""
        self._said: list[Message] = []

    def use(self, audience: IAudience) -> None:
        """Tell `audience` from now on."""
        self.audience = self._audience = audience

    def be_silent(self, is_silent: bool) -> None:
        """Whether what runs was said before, so that nobody hears it."""
        self.audience = _NOBODY if is_silent else self._audience

    def begin(self, is_kept: bool, events: bytes) -> bool:
        """A batch begins to run; `is_kept`: see Ready; `events`: the setting.  Whether its events matter."""
        self.is_kept = is_kept
        if events is not self._setting:
            self._setting = events
            self.events = classes_of(events)
        self.is_recording = self.events != 0 and not self.audience.is_empty
        return self.is_recording

    # -- messages

    def say(self, channel: bytes, text: bytes, is_sharded: bool = False) -> int:
        """Say something when the batch is applied; to how many receivers."""
        receivers = self.audience.receivers(channel, is_sharded)
        if receivers:
            self._said.append(Message(channel, text, is_sharded))
        return receivers

    def say_all(self, channels: Sequence[bytes], texts: Sequence[bytes], is_sharded: bool) -> list[int]:
        """As `say`, for a whole batch of messages."""
        if self.audience.is_empty:
            return [0] * len(channels)
        return [self.say(channel, text, is_sharded) for channel, text in zip(channels, texts)]

    def place(self) -> int:
        """How much was said so far."""
        return len(self._said)

    def go_back(self, place: int) -> None:
        """Unsay what was said since."""
        del self._said[place:]
        self.changes.clear()

    def end(self) -> None:
        """The batch is applied: what it has said can be heard."""
        self.is_recording = False
        if self.changes:
            self.changes.clear()
        if self._said:
            said, self._said = self._said, []
            self.audience.tell(said)
