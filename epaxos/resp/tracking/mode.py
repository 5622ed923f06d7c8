"""How a client wants to be told which copies of values to forget (CLIENT TRACKING)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

__all__ = ["Choice", "Mode"]


class Choice(Enum):
    """Which keys that a client reads are tracked; the value is the option, and what CLIENT CACHING says."""

    ALL = ("", "")
    OPT_IN = ("optin", "yes")
    OPT_OUT = ("optout", "no")


class Mode:
    """What a client has asked for with CLIENT TRACKING ON.

    `is_broadcast`: it is told of every key that begins with one of `prefixes`, and nobody remembers what it
    reads.  `is_noloop`: it need not be told of what it has written itself.
    """

    def __init__(
        self,
        is_broadcast: bool = False,
        choice: Choice = Choice.ALL,
        is_noloop: bool = False,
        prefixes: tuple[bytes, ...] = (),
    ) -> None:
        self.is_broadcast = is_broadcast
        self.choice = choice
        self.is_noloop = is_noloop
        self.prefixes = prefixes
        self.is_chosen = False
        """Whether CLIENT CACHING was said of the next command."""

    @property
    def remembers(self) -> bool:
        """Whether the keys that the client reads now are tracked."""
        return not self.is_broadcast and self.is_chosen != (self.choice is not Choice.OPT_IN)

    def flags(self) -> Iterator[str]:
        """As CLIENT TRACKINGINFO shows them."""
        yield "on"
        if self.is_broadcast:
            yield "bcast"
        if self.choice is not Choice.ALL:
            option, word = self.choice.value
            yield option
            if self.is_chosen:
                yield f"caching-{word}"
        if self.is_noloop:
            yield "noloop"
