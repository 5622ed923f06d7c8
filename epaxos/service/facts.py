"""What the status shows beside what the node knows: the program, its host, its clients, the last minute."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import epaxos
from epaxos.admin.history import FIELDS, History
from epaxos.admin.last_warnings import LastWarnings
from epaxos.service.followed import Followed
from epaxos.service.peer_tls import certificate_ends

__all__ = ["WARNINGS_MAX", "Facts"]

WARNINGS_MAX = 5
"""The most warnings that the status shows; the page at `/` has more."""
KEPT_S = 5.0
"""For this time, in seconds, what the system was asked for is shown again."""
CERTIFICATES_KEPT_S = 60.0
"""The same for what the files of certificates say."""
PAGE_BYTES = resource.getpagesize()
_OPEN = Path("/proc/self/fd")
_STATM = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")
_NO_DISK = {"disk_free_bytes": None, "disk_bytes": None}


class Facts:
    """Tells them of replica `id`.  `now_s`: a clock that never goes back, in seconds.

    The operating system is asked at most every KEPT_S seconds, because who asks for the status does it often.
    """

    def __init__(
        self,
        followed: Followed,
        id: int,
        history: History,
        warnings: LastWarnings,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._followed = followed
        self._id = id
        self._history = history
        self._warnings = warnings
        self._now_s = now_s
        self._began_s = now_s()
        self._host = _Kept(self._ask_host, KEPT_S, now_s)
        self._certificates = _Kept(self._ask_certificates, CERTIFICATES_KEPT_S, now_s)

    def __call__(self) -> dict[str, Any]:
        """See docs: reference/status."""
        limits, history = self._followed.config.limits, self._history
        last = history.samples[-1] if history.samples else [None] * len(FIELDS)
        return {
            "program": {
                "version": epaxos.__version__,
                "uptime_s": round(self._now_s() - self._began_s, 1),
                "engine": self._followed.config.storage.engine,
                "keep_instances": limits.keep_instances,
                "keep_bytes": limits.keep_bytes,
                "unsettled_s": history.recent.unsettled_s,
            },
            "host": self._host(),
            "certificates": self._certificates(),
            "clients": history.recent.clients(),
            "last_second": dict(zip(FIELDS, last)),
            "last_minute": history.recent.last_minute(),
            "warnings": [list(line) for line in self._warnings.lines()[:WARNINGS_MAX]],
        }

    def _ask_host(self) -> dict[str, Any]:
        return {
            "descriptors": _descriptors(),
            "descriptors_max": _limit(),
            **_memory(),
            **self._disk(),
        }

    def _disk(self) -> dict[str, Any]:
        """What an ordinary user may still write where the data are."""
        if self._followed.config.storage.engine == "memory":
            return _NO_DISK
        try:
            disk = os.statvfs(self._followed.config.replica(self._id).data)
        except OSError:
            return _NO_DISK
        return {
            "disk_free_bytes": disk.f_bavail * disk.f_frsize,
            "disk_bytes": disk.f_blocks * disk.f_frsize,
        }

    def _ask_certificates(self) -> dict[str, Any]:
        own, issuer = certificate_ends(self._followed.config, self._id)
        return {"peer_tls": self._followed.config.security.peer_tls, "ends_at": own, "issuer_ends_at": issuer}


class _Kept:
    """What `ask()` has answered, for `kept_s` seconds."""

    def __init__(self, ask: Callable[[], dict[str, Any]], kept_s: float, now_s: Callable[[], float]) -> None:
        self._ask = ask
        self._kept_s = kept_s
        self._now_s = now_s
        self._answer: Mapping[str, Any] = {}
        self._until_s = -1.0

    def __call__(self) -> Mapping[str, Any]:
        now_s = self._now_s()
        if not self._answer or now_s >= self._until_s:
            self._answer, self._until_s = self._ask(), now_s + self._kept_s
        return self._answer


def _descriptors() -> int | None:
    """How many files and connections are open; Linux before 6.2 has to list them."""
    try:
        return _OPEN.stat().st_size or len(os.listdir(_OPEN))
    except OSError:
        return None


def _limit() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _memory() -> dict[str, int | None]:
    """What the process takes, and of the host what it has and what programs can still get."""
    try:
        taken: int | None = int(_STATM.read_text().split()[1]) * PAGE_BYTES
        lines = (line.split() for line in _MEMINFO.read_text().splitlines())
        host = {
            words[0]: 1024 * int(words[1]) for words in lines if words[0] in {"MemTotal:", "MemAvailable:"}
        }
    except (OSError, ValueError, IndexError):
        taken, host = None, {}
    return {
        "memory_bytes": taken,
        "memory_available_bytes": host.get("MemAvailable:"),
        "memory_total_bytes": host.get("MemTotal:"),
    }
