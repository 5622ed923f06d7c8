"""What `GET /status` shows of the last second and of the last minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from operator import sub
from typing import Any, NamedTuple

from epaxos.admin.quantiles import quantile

__all__ = ["MINUTE_S", "Recent"]

MINUTE_S = 60
"""Times in the status are those of so many seconds, or of what has passed since the start."""


_CLIENTS = {
    "connected": "epaxos_clients",
    "max": "epaxos_clients_max",
    "held_bytes": "epaxos_clients_held_bytes",
    "held_bytes_max": "epaxos_clients_held_bytes_max",
}


class _Moment(NamedTuple):
    """What had been counted at one moment: synced writes, and looks at how late the event loop is."""

    disk: Sequence[int]
    late: Sequence[int]


class Recent:
    """Is told every second what a replica has measured until then."""

    def __init__(self) -> None:
        self._moments: deque[_Moment] = deque(maxlen=MINUTE_S + 1)
        self._gauges: Mapping[str, float] = {}
        self._unsettled_s = 0

    def take(self, gauges: Mapping[str, float], disk: Sequence[int], late: Sequence[int]) -> None:
        """A second is over.  `gauges`: numbers by their names; `disk`, `late`: see Histogram.counts."""
        self._gauges = gauges
        self._unsettled_s = 0 if gauges.get("epaxos_epoch_settled", 1) else self._unsettled_s + 1
        self._moments.append(_Moment(disk, late))

    def last_minute(self) -> dict[str, Any]:
        """The times that half and 99 of 100 synced writes took, and how late the event loop was."""
        if not self._moments:
            return dict.fromkeys(("disk_p50_s", "disk_p99_s", "late_p99_s"))
        first, last = self._moments[0], self._moments[-1]
        disk, late = (list(map(sub, now, then)) for now, then in zip(last, first))
        return {
            "disk_p50_s": quantile(0.5, disk),
            "disk_p99_s": quantile(0.99, disk),
            "late_p99_s": quantile(0.99, late),
        }

    def clients(self) -> dict[str, Any]:
        """How many clients there are, and what they hold, beside what is allowed; None: not measured yet."""
        names = {
            "connected": "",
            "max": "_max",
            "held_bytes": "_held_bytes",
            "held_bytes_max": "_held_bytes_max",
        }
        shown = {field: self._gauges.get(f"epaxos_clients{name}") for field, name in names.items()}
        return {field: None if value is None else int(value) for field, value in shown.items()}

    @property
    def unsettled_s(self) -> int:
        """For how many seconds the present epoch, or those before it, have not been settled."""
        return self._unsettled_s
