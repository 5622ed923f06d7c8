"""How long to wait for what.  Every time is in seconds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Timing"]


@dataclass(frozen=True)
class Timing:
    """The waits of one replica; `config.py` documents and bounds them."""

    heartbeat_s: float = 0.2
    """A heartbeat goes to every replica this often."""
    suspect_after_s: float = 1.0
    """A replica that was not heard of for so long is suspected."""
    resend_s: float = 0.5
    """A message that was not answered is sent again after so long."""
    recover_after_s: float = 1.5
    """An instance of a replica that is not suspected is recovered when it is stuck for so long."""
    turn_s: float = 0.15
    """Each rank waits so much longer than the one before it, before it recovers an instance."""
    backoff_max_s: float = 5.0
    """Recoveries of one instance are never further apart than this."""
    fast_path_wait_s: float = 0.005
    """With a slow quorum of answers, how long to wait for those that may still allow the fast path; and
    how long at least, with those of a named fast quorum outstanding, before others are asked."""
