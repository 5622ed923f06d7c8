"""The settings of `[slow]`."""

from __future__ import annotations

from dataclasses import dataclass

from epaxos.config.declaring import setting
from epaxos.config.kinds import Number

__all__ = ["Slow"]


@dataclass(frozen=True)
class Slow:
    """`[slow]`: what a replica keeps of what takes long (docs: operating/status)."""

    command_us: int = setting(
        10_000,
        Number(-1, 3_600_000_000, "microseconds"),
        "A batch that runs for at least this time has an entry in SLOWLOG; 0: every batch, -1: none.",
        is_live=True,
        redis="slowlog-log-slower-than",
    )
    commands_max: int = setting(
        128,
        Number(0, 10_000, "entries"),
        "The most entries of SLOWLOG; the oldest goes first.",
        is_live=True,
        redis="slowlog-max-len",
    )
    event_ms: int = setting(
        0,
        Number(0, 3_600_000, "milliseconds"),
        "LATENCY keeps what takes at least this time; 0: nothing.",
        is_live=True,
        redis="latency-monitor-threshold",
    )
