"""Kills one replica after the other, and starts each again."""

from __future__ import annotations

import time

from tests.cluster.harness import Cluster

__all__ = ["kill_in_turn"]

KILL_EVERY_S = 1.0


def kill_in_turn(cluster: Cluster, seconds: float) -> int:
    """For this time, kill a replica about every KILL_EVERY_S; the next one only once it is ready again.
    Returns how many were killed."""
    kills = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        victim = kills % cluster.n
        cluster.kill(victim)
        kills += 1
        again = time.monotonic() + KILL_EVERY_S
        cluster.start(victim)
        cluster.ready(timeout_s=60)
        time.sleep(max(0.0, again - time.monotonic()))
    return kills
