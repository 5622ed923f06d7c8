"""The bound on the memory of the keys, which all replicas share (docs: operating/disk-and-memory)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from zope.interface import Attribute, Interface

from epaxos.interfaces.commands import Command, CommandError
from epaxos.interfaces.redis import text_of

__all__ = ["CONFIGURE", "OOM", "IBounded", "IMemoryBound", "MemoryUse", "unknown_setting"]

CONFIGURE = b"\0CONFIG"
"""What `CONFIG SET` of settings that all replicas share becomes: a command with names and values."""
OOM = "OOM command not allowed when used memory > 'maxmemory'."


def unknown_setting(name: bytes) -> CommandError:
    """There is no setting of this name that CONFIG SET changes."""
    return CommandError(f"ERR Unknown option or number of arguments for CONFIG SET - '{text_of(name)}'")


class MemoryUse(NamedTuple):
    """`settings`: those that all replicas share, by name.  `used_bytes`: what the keys take, as far as it was
    measured; None while there is no bound.  `evicted`: keys removed for want of memory, since the start."""

    settings: Mapping[str, str]
    bytes_max: int
    used_bytes: int | None
    evicted: int


class IMemoryBound(Interface):
    """The bound of one replica, and what is to be done about it.

    What it tells is no part of the state.  Each method takes about a millisecond.
    """

    is_full = Attribute("Whether commands that may need more memory are refused here now.")
    is_bounded = Attribute("Whether there is a bound.")

    def use() -> MemoryUse:
        """What is known now."""

    def measure() -> None:
        """Measure some of the keys.  To be called many times a second while there is a bound."""

    def evicted() -> int:
        """How many keys were removed for want of memory, since the start."""

    def is_over() -> bool:
        """Whether keys should be removed."""

    def take_evictions() -> Sequence[Command]:
        """The commands that remove keys which the policy chooses, about a thousand at most; none when there
        is no need, or no such key.  They are for `batch`, and are not given to `check`."""


class IBounded(Interface):
    """A state machine with such a bound."""

    bound = Attribute("Its IMemoryBound.")
