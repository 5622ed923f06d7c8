"""The times that a replica waits, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Timing"]


@dataclass(frozen=True)
class Timing:
    """The times that one replica waits, in seconds; `config.settings` bounds them."""

    heartbeat_s: float = 0.2
    """A heartbeat goes to every replica this often."""
    suspect_after_s: float = 1.0
    """A replica from which nothing came for this time is suspected."""
    resend_s: float = 0.5
    """A message that was not answered is sent again after this time."""
    recover_after_s: float = 1.5
    """An undecided instance of a replica that is not suspected is recovered after this time."""
    turn_s: float = 0.15
    """The replica of rank k recovers an instance k times this time later than that of rank 0."""
    backoff_max_s: float = 5.0
    """Attempts to recover one instance are at most 1.5 times this apart."""
    fast_path_wait_s: float = 0.005
    """After a slow quorum has answered, the command leader waits this long for answers that may still allow
    the fast path.  A named replica is given at least this time before others are asked."""
