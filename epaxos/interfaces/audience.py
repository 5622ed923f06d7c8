"""Those who listen to what a state machine says beside its replies: publish/subscribe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zope.interface import Attribute, Interface

from epaxos.interfaces.machine import IStateMachine

__all__ = ["IAudience", "IPublishes", "Message"]


class Message(NamedTuple):
    """What is said on a channel.  `is_sharded`: on one of those of SPUBLISH, which are others."""

    channel: bytes
    text: bytes
    is_sharded: bool = False


class IAudience(Interface):
    """Who listens at this replica, and nowhere else."""

    is_empty = Attribute("Whether nobody listens to anything.")

    def receivers(channel: bytes, is_sharded: bool = False) -> int:
        """How many times a message on this channel would be delivered now.  Returns at once."""

    def tell(messages: Sequence[Message]) -> None:
        """Deliver the messages, in their order, soon: the call returns at once."""


class IPublishes(IStateMachine):
    """A state machine that says something beside its replies.  Optional.

    What it says is no part of the state.  It is said once a batch is applied as a whole, and never by
    `restore` and `IReplays.replay`, because it was said before.
    """

    def use_audience(audience: IAudience) -> None:
        """Called once, before anything else.  Without it nobody listens."""
