"""The settings of a configuration file: which keys each section has, and which values they may have."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from epaxos.config.endpoints import check_peer_client, check_peer_server, check_server

__all__ = ["CLUSTER", "REPLICA", "SETTINGS", "Reader"]

Reader = Callable[[str], Any]
"""Makes a value of a text.  ValueError: why not, continuing "KEY = TEXT: "."""


@dataclass(frozen=True)
class _Number:
    """A number from `low` to `high`."""

    kind: type
    low: float
    high: float

    def __call__(self, text: str) -> float:
        allowed = f"{self.low:,} to {self.high:,}".replace(",", "_")
        what = "a whole number" if self.kind is int else "a number of seconds"
        try:
            number: float = self.kind(text)
        except ValueError:
            raise ValueError(f"is not {what}; allowed: {allowed}") from None
        if not self.low <= number <= self.high:  # nor is it NaN
            raise ValueError(f"is out of range; allowed: {allowed}")
        return number


def _whole(low: int, high: int) -> _Number:
    return _Number(int, low, high)


def _seconds(low: float, high: float) -> _Number:
    return _Number(float, low, high)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"is not known; allowed: {', '.join(allowed)}")
        return text

    return read


def _yes_or_no(text: str) -> bool:
    return _one_of("yes", "no")(text) == "yes"


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text):
        raise ValueError("is not a name; allowed: 1 to 64 of the characters A-Z a-z 0-9 _ . -")
    return text


def _endpoint(check: Callable[[str], None]) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            check(text)
        except ValueError as why:
            raise ValueError(f"is not an endpoint: {why}") from None
        return text

    return read


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("is not a folder")
    return text


CLUSTER: dict[str, Reader] = {
    "name": _name,
    "state_machine": _name,
    "transport": _one_of("tcp", "udp"),
}
"""Of `[cluster]`."""

REPLICA: dict[str, Reader] = {
    "peer": _endpoint(check_peer_server),
    "client": _endpoint(check_server),
    "status": _endpoint(check_server),
    "peer_connect": _endpoint(check_peer_client),
    "data": _path,
}
"""Of every `[replica N]`."""

SETTINGS: dict[str, dict[str, Reader]] = {
    "timing": {
        "heartbeat_s": _seconds(0.01, 60),
        "suspect_after_s": _seconds(0.03, 3600),
        "resend_s": _seconds(0.01, 60),
        "recover_after_s": _seconds(0.05, 3600),
        "turn_s": _seconds(0.001, 60),
        "backoff_max_s": _seconds(0.1, 3600),
        "fast_path_wait_s": _seconds(0, 1),
    },
    "batch": {
        "commands_max": _whole(1, 1_000_000),
        "bytes_max": _whole(1_000, 30_000_000),
        "window": _whole(1, 10_000),
    },
    "limits": {
        "request_timeout_s": _seconds(0.1, 3600),
        "clients_max": _whole(1, 1_000_000),
        "clients_bytes_max": _whole(1_000_000, 1_000_000_000_000),
        "client_keepalive_s": _whole(0, 32_767),
        "client_timeout_s": _seconds(0, 31_536_000),
        "command_bytes_max": _whole(1_000, 30_000_000),
        "peer_queue_bytes_max": _whole(1_000_000, 4_000_000_000),
        "datagram_bytes_max": _whole(1_200, 65_507),
    },
    "storage": {
        "engine": _one_of("leveldb", "memory"),
        "sync": _yes_or_no,
        "checkpoint_s": _seconds(0.01, 3600),
    },
}
"""Of the other sections; every key is a field of Timing, Batching, Limits or Storage."""
