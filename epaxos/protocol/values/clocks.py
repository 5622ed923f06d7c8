"""What a Heartbeat tells of the clocks of its sender.  The core carries it, and looks at no clock."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NOT_HEARD", "Clocks", "Echo"]


class Echo(NamedTuple):
    """What was heard last of a member: the `at_ms` of its Clocks, 0 when nothing was heard, and for how many
    milliseconds the sender has held it."""

    at_ms: int
    held_ms: int


NOT_HEARD = Echo(0, 0)


class Clocks(NamedTuple):
    """The clocks of the sender, in milliseconds, when the message left.

    `at_ms` is on a clock of its own that never goes back, and above 0: whoever hears it echoes it.  `wall_ms`
    is the clock of its host since 1970, and `cluster_ms` its cluster clock, 0 while that is not to be
    trusted.  `echoes` has one element for each row.
    """

    at_ms: int
    wall_ms: int
    cluster_ms: int
    echoes: tuple[Echo, ...]
