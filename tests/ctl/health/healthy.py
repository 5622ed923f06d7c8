"""The answers of a healthy cluster, as real replicas give them."""

from __future__ import annotations

import copy
from typing import Any

from epaxos.ctl.members import Answer, Member

__all__ = ["NOW_S", "STATUS", "changed", "healthy"]

NOW_S = 1_800_000_000.0
DAY_S = 86_400
STATUS: dict[str, Any] = {
    "id": 0,
    "cluster": "shop",
    "members": [{"id": id, "up": True} for id in range(3)],
    "clock": {"offset_s": 0.001, "trusted": True, "why_not": None},
    "committed": [10, 20, 30],
    "executed": [10, 20, 30],
    "epoch": {"number": 2, "version": 2, "settled": True, "opened_by": None, "behind": None},
    "running": True,
    "counters": {"instances_held": 12, "bytes_held": 9_000},
    "program": {
        "version": "0.1.0",
        "uptime_s": 5_000.0,
        "engine": "leveldb",
        "keep_instances": 50_000,
        "keep_bytes": 268_435_456,
        "unsettled_s": 0,
    },
    "host": {
        "descriptors": 27,
        "descriptors_max": 20_000,
        "memory_bytes": 77_000_000,
        "memory_available_bytes": 4_000_000_000,
        "memory_total_bytes": 8_000_000_000,
        "disk_free_bytes": 70_000_000_000,
        "disk_bytes": 270_000_000_000,
    },
    "certificates": {
        "peer_tls": True,
        "ends_at": NOW_S + 300 * DAY_S,
        "issuer_ends_at": NOW_S + 3000 * DAY_S,
    },
    "clients": {"connected": 12, "max": 10_000, "held_bytes": 1_000, "held_bytes_max": 1_073_741_824},
    "last_second": {
        "time_ms": 1_800_000_000_000,
        "received": 1200.0,
        "executed": 3600.0,
        "p50_s": 0.0021,
        "p99_s": 0.0152,
        "fast": 0.97,
        "disk_p99_s": 0.0045,
        "written_bytes": 250_000.0,
        "instances_held": 12.0,
        "clients": 12.0,
        "late_p99_s": 0.002,
    },
    "last_minute": {"disk_p50_s": 0.0009, "disk_p99_s": 0.0045, "late_p99_s": 0.009},
    "warnings": [],
}


def healthy() -> list[Answer]:
    """The answers of three members."""
    answers = []
    for id in range(3):
        state = "here" if id == 0 else "connected"
        member = Member(id, f"tcp:h{id}:7000", f"tcp:h{id}:7100", "", state, version="2")
        status = {**copy.deepcopy(STATUS), "id": id}
        answers.append(Answer(member, f"h{id}:7100", status, 77_000_000, lag=0, newest_epoch=2))
    return answers


def changed(answer: Answer, **values: object) -> None:
    """Change what stands at these paths, in which `__` stands for a dot."""
    for path, value in values.items():
        *way, last = path.split("__")
        place = answer.status
        for name in way:
            place = place[name]
        place[last] = value
