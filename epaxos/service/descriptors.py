"""The number of files and connections that the operating system lets this process have open.

A replica that cannot open the next file of its store has to stop.  So clients get only some of the
descriptors that the limit allows; the rest is kept for the store, the other replicas and the status port.
"""

from __future__ import annotations

import resource
from pathlib import Path

__all__ = ["NOT_FOR_CLIENTS", "descriptors_for_clients", "raise_limit"]

NOT_FOR_CLIENTS = 224
"""The descriptors that clients do not get.  Up to 100 are connections that are being refused, and up to 64
those of strangers at the other ports; the rest is for the store's files, the log, the event loop and the
listening sockets."""
OF_EACH_PEER = 4
"""The descriptors for each other replica: a connection for each direction, and two that replace them."""
PEERS_MIN = 6
"""Other replicas for which there is room at least, because a file need not name the members that come later,
nor those of a cluster that its replica joins."""
NR_OPEN = Path("/proc/sys/fs/nr_open")


def raise_limit() -> int:
    """Raise the soft limit of open files of this process as far as possible.  Returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, _kernel_limit()):
        if limit is None or _as_number(limit) <= _as_number(soft):
            continue
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        except (OSError, ValueError):  # more than the kernel allows any process, or not permitted
            continue
        return _as_number(limit)
    return _as_number(soft)


def descriptors_for_clients(limit: int, n: int) -> int:
    """The descriptors out of `limit` that clients may use, where the file names n replicas.  It may be below
    1."""
    return limit - NOT_FOR_CLIENTS - OF_EACH_PEER * max(n - 1, PEERS_MIN)


def _as_number(limit: int) -> int:
    return 1 << 62 if limit == resource.RLIM_INFINITY else limit


def _kernel_limit() -> int | None:
    try:
        return int(NR_OPEN.read_text())
    except (OSError, ValueError):
        return None
