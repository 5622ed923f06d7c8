"""What `INFO` shows of the process: each value is measured when a client asks, none is invented."""

from __future__ import annotations

import os
import platform
import resource
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ProcessFacts", "human"]

PAGE_BYTES = resource.getpagesize()
DAY_S = 86_400


class ProcessFacts:
    """Facts about this process.  `seconds` is a clock that never goes back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._started = seconds()
        self.run_id = os.urandom(20).hex()

    def server(self) -> Mapping[str, Any]:
        """Fields of the section `Server`."""
        uptime_s = int(self._seconds() - self._started)
        system = platform.uname()
        return {
            "os": f"{system.system} {system.release} {system.machine}",
            "arch_bits": 8 * struct.calcsize("P"),
            "python_version": platform.python_version(),
            "process_id": os.getpid(),
            "run_id": self.run_id,
            "uptime_in_seconds": uptime_s,
            "uptime_in_days": uptime_s // DAY_S,
            "executable": sys.executable,
        }

    @staticmethod
    def memory() -> Mapping[str, Any]:
        """Fields of the section `Memory`."""
        used = _resident_bytes()
        peak = max(used, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        system = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
        return {
            "used_memory": used,
            "used_memory_human": human(used),
            "used_memory_rss": used,
            "used_memory_rss_human": human(used),
            "used_memory_peak": peak,
            "used_memory_peak_human": human(peak),
            "total_system_memory": system,
            "total_system_memory_human": human(system),
        }

    @staticmethod
    def cpu() -> Mapping[str, Any]:
        """Fields of the section `CPU`."""
        who = {
            "": resource.RUSAGE_SELF,
            "_children": resource.RUSAGE_CHILDREN,
            "_main_thread": resource.RUSAGE_THREAD,
        }
        fields = {}
        for suffix, of in who.items():
            usage = resource.getrusage(of)
            fields[f"used_cpu_sys{suffix}"] = f"{usage.ru_stime:.6f}"
            fields[f"used_cpu_user{suffix}"] = f"{usage.ru_utime:.6f}"
        return fields


def _resident_bytes() -> int:
    """The resident memory of the process; its peak, where only the peak can be read."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE_BYTES
    except OSError:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def human(size_bytes: int) -> str:
    """A size as Redis writes it for people: `1.50M`."""
    if size_bytes < 1024:
        return f"{size_bytes}B"
    steps = min((size_bytes.bit_length() - 1) // 10, 4)
    return f"{size_bytes / 1024**steps:.2f}{'BKMGT'[steps]}"
