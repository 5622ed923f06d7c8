"""Reads the status of a member, whose version may be another one: what it does not show is None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from epaxos.ctl.members import Answer

__all__ = ["number_in", "text_in", "ups_in", "value_in", "warnings_in"]


def value_in(answer: Answer, path: str) -> Any:
    """What stands at the path, such as `host.descriptors`; None where there is nothing."""
    value: Any = answer.status
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def number_in(answer: Answer, path: str) -> float | None:
    """The number there; None where there is none."""
    value = value_in(answer, path)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def text_in(answer: Answer, path: str) -> str | None:
    """The text there; None where there is none."""
    value = value_in(answer, path)
    return value if isinstance(value, str) else None


def ups_in(answer: Answer) -> frozenset[int] | None:
    """The members that this one sees up, itself among them; None where it does not say."""
    members = answer.status.get("members")
    if answer.error is not None or not isinstance(members, list):
        return None
    return frozenset(
        each["id"]
        for each in members
        if isinstance(each, dict) and isinstance(each.get("id"), int) and each.get("up")
    )


def warnings_in(answer: Answer) -> Sequence[tuple[int, str, str]]:
    """The last warnings of its log: when, in milliseconds since 1970, how bad, and what."""
    lines = answer.status.get("warnings")
    if not isinstance(lines, list):
        return ()
    return [
        (line[0], line[1], line[2])
        for line in lines
        if isinstance(line, list) and [type(part) for part in line[:3]] == [int, str, str]
    ]
