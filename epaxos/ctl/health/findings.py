"""What is wrong with a cluster, and what to do about it.  Pure: it knows the answers of the members alone.

Whatever is named here must not be so in a healthy cluster that has just been started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from epaxos.ctl.health.members_findings import FINDERS as OF_MEMBERS
from epaxos.ctl.health.reading import number_in, text_in, value_in
from epaxos.ctl.health.values import ERROR, WARNING, Finding
from epaxos.ctl.members import Answer
from epaxos.ctl.output import size

__all__ = ["findings"]

FRESH_S = 60.0
"""Seconds after its start for which a replica may be what it would not be later."""
CLOCK_S = 0.25
"""Seconds by which a clock may be off: half of the default of clock_error_max_s."""
DISK_P50_S = 0.05
"""Seconds that half of the synced writes may take: a disk of spinning platters needs about 10 ms."""
LATE_P99_S = 0.2
"""Seconds by which the event loop may be late one time in a hundred."""
UNSETTLED_S = 300
"""Seconds that a member may take to follow into an epoch."""
KEPT_OVER = 1.5
"""Times keep_instances and keep_bytes: beyond them the next epoch should have begun."""
NEAR = 0.8
"""The share of a bound from which on it is near."""
MEMORY_LEAST = 0.05
"""The share of the memory of a host that should be left."""
DISK_LEAST_BYTES = 1_000_000_000
DISK_STATES = 2
"""The disk should have room for so many times the memory of the process, because a new base of the state is
written beside the old one."""
CERTIFICATE_S = 30 * 86_400
ISSUER_S = 90 * 86_400
DAY_S = 86_400


class _Of(NamedTuple):
    """One member that answered, and the time now, in seconds since 1970."""

    answer: Answer
    now_s: float

    @property
    def id(self) -> int:
        return self.answer.member.number

    @property
    def is_fresh(self) -> bool:
        uptime_s = number_in(self.answer, "program.uptime_s")
        return uptime_s is not None and uptime_s < FRESH_S

    def number(self, path: str) -> float | None:
        return number_in(self.answer, path)

    def found(self, severity: str, code: str, what: str, todo: str) -> Finding:
        return Finding(severity, code, (self.id,), f"replica {self.id} {what}", todo)


def findings(answers: Sequence[Answer], now_s: float) -> list[Finding]:
    """What is wrong, the worst first.  `now_s`: the time, in seconds since 1970."""
    found = [each for finder in OF_MEMBERS for each in finder(answers)]
    reached = [_Of(answer, now_s) for answer in answers if answer.error is None]
    found += [each for finder in _OF_EACH for of in reached for each in finder(of)]
    return sorted(found, key=lambda each: (each.severity != ERROR, each.members))


def _clock(of: _Of) -> Iterator[Finding]:
    offset_s, trusted = of.number("clock.offset_s"), value_in(of.answer, "clock.trusted")
    is_apart = offset_s is not None and abs(offset_s) > CLOCK_S
    todo = "look at NTP (chrony, systemd-timesyncd) on its host; commands with a time are refused there"
    if is_apart and offset_s is not None:
        ahead = "ahead of" if offset_s > 0 else "behind"
        severity = WARNING if trusted else ERROR
        yield of.found(severity, "clock", f"has a clock {abs(offset_s):.2f} s {ahead} the others", todo)
    elif trusted is False and not of.is_fresh:
        why = text_in(of.answer, "clock.why_not") or "it does not say why"
        yield of.found(WARNING, "clock", f"does not trust its clock: {why}", todo)


def _state(of: _Of) -> Iterator[Finding]:
    if value_in(of.answer, "running") is False and not of.is_fresh:
        yield of.found(ERROR, "not-running", "starts or stops", "look at its log")
    if value_in(of.answer, "epoch.behind") is not None:
        yield of.found(
            WARNING,
            "behind",
            "takes the state of another member, and serves no clients until it has it",
            "wait; `epaxosctl top` shows how far it is. Where that stands still, look at both logs",
        )
    epoch = of.answer.epoch
    if epoch is not None and epoch < of.answer.newest_epoch and not of.is_fresh:
        yield of.found(
            WARNING,
            "old-epoch",
            f"is in epoch {epoch}, and the newest is epoch {of.answer.newest_epoch}",
            "ask again in a minute; if it is still so, look at its log and at its links",
        )
    unsettled_s = of.number("program.unsettled_s")
    if unsettled_s is not None and unsettled_s > UNSETTLED_S:
        yield of.found(
            WARNING,
            "turn",
            f"has not heard for {unsettled_s:.0f} s that every member has opened epoch {epoch}",
            "start the member that is down or behind, or replace it (docs: operating/members)",
        )


def _count(number: float) -> str:
    return f"{number:.0f}"


def _instances(count: float) -> str:
    return f"{count:.0f} instances"


def _bytes(count: float) -> str:
    return size(int(count))


def _kept(of: _Of) -> Iterator[Finding]:
    for held, bound, shown in (
        ("counters.instances_held", "program.keep_instances", _instances),
        ("counters.bytes_held", "program.keep_bytes", _bytes),
    ):
        count, most = of.number(held), of.number(bound)
        if count is not None and most and count > KEPT_OVER * most:
            yield of.found(
                ERROR,
                "log-not-bounded",
                f"holds {shown(count)}, and the next epoch should have begun at {shown(most)}",
                "a member is behind and no epoch begins without it: start it, or replace it"
                " (docs: operating/members); with engine = memory every member has to be there",
            )
            return


def _bound(
    path: str, most_path: str, code: str, what: str, todo: str, shown: Callable[[float], str] = _count
) -> Callable[[_Of], Iterator[Finding]]:
    """What finds that the number at `path` is near its bound at `most_path`."""

    def finder(of: _Of) -> Iterator[Finding]:
        count, most = of.number(path), of.number(most_path)
        if count is not None and most and count >= NEAR * most:
            yield of.found(WARNING, code, f"{what} {shown(count)} of {shown(most)}", todo)

    return finder


def _memory(of: _Of) -> Iterator[Finding]:
    available, total = of.number("host.memory_available_bytes"), of.number("host.memory_total_bytes")
    if available is not None and total and available < MEMORY_LEAST * total:
        yield of.found(
            WARNING,
            "memory",
            f"is on a host that has {size(int(available))} of {size(int(total))} of memory left",
            "set maxmemory, or give the host more memory (docs: operating/disk-and-memory)",
        )


def _disk(of: _Of) -> Iterator[Finding]:
    free = of.number("host.disk_free_bytes")
    least = max(DISK_LEAST_BYTES, DISK_STATES * (of.number("host.memory_bytes") or 0))
    if free is not None and free < least:
        yield of.found(
            ERROR if free < least / 10 else WARNING,
            "disk-full",
            f"has {size(int(free))} left on the disk of its data",
            f"make room until at least {size(int(least))} are left: a replica whose disk is full stops",
        )
    p50_s, p99_s = of.number("last_minute.disk_p50_s"), of.number("last_minute.disk_p99_s")
    if p50_s is not None and p50_s > DISK_P50_S and not of.is_fresh:
        yield of.found(
            WARNING,
            "disk-slow",
            f"waits {1000 * p50_s:.0f} ms for half of its synced writes ({1000 * (p99_s or p50_s):.0f} ms for"
            " one in a hundred)",
            "look for what else writes to that disk, or take a faster one; every write waits for it",
        )


def _engine(of: _Of) -> Iterator[Finding]:
    if value_in(of.answer, "program.engine") == "memory":
        yield of.found(
            WARNING,
            "engine-memory",
            "keeps nothing on disk (engine = memory): once it has stopped it cannot come back",
            "take engine = leveldb, unless the cluster may be lost",
        )


def _loop(of: _Of) -> Iterator[Finding]:
    late_s = of.number("last_minute.late_p99_s")
    if late_s is not None and late_s > LATE_P99_S and not of.is_fresh:
        yield of.found(
            WARNING,
            "loop-late",
            f"has an event loop that is {1000 * late_s:.0f} ms late one time in a hundred",
            "look for what takes the processor of its host, or for very long commands",
        )


def _certificates(of: _Of) -> Iterator[Finding]:
    if not value_in(of.answer, "certificates.peer_tls"):
        return
    for field, whose, notice_s in (
        ("ends_at", "a certificate", CERTIFICATE_S),
        ("issuer_ends_at", "an issuer in ca", ISSUER_S),
    ):
        end_s = of.number(f"certificates.{field}")
        if end_s is None:
            yield of.found(
                ERROR,
                "certificate",
                f"cannot read the file of {whose}",
                "put it back, and let the user of the replica read it (docs: operating/tls)",
            )
        elif end_s - of.now_s < notice_s:
            left_s = end_s - of.now_s
            when = f"ends in {left_s / DAY_S:.0f} days" if left_s > 0 else "has ended: no new link is made"
            todo = "renew it; it is read again without a restart (docs: operating/tls)"
            yield of.found(WARNING if left_s > 0 else ERROR, "certificate", f"has {whose} that {when}", todo)


_OF_EACH: Sequence[Callable[[_Of], Iterator[Finding]]] = (
    _state,
    _kept,
    _clock,
    _certificates,
    _disk,
    _memory,
    _bound(
        *("host.descriptors", "host.descriptors_max"),
        "descriptors",
        "has files and connections open:",
        "raise the limit of open files (LimitNOFILE= of its unit, ulimit -n), and restart it",
    ),
    _bound(
        *("clients.connected", "clients.max"),
        "clients",
        "has clients:",
        "raise clients_max, or spread the clients over the members; look for some that leak connections",
    ),
    _bound(
        *("clients.held_bytes", "clients.held_bytes_max"),
        "clients-memory",
        "holds of commands and replies of clients that are under way:",
        "look for clients that do not take their replies; raise clients_bytes_max",
        _bytes,
    ),
    _loop,
    _engine,
)
