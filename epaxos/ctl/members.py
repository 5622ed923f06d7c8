"""The members of a cluster, as one replica names them, and what each of them says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from epaxos.ctl.address import Address, client_address
from epaxos.ctl.connection import Connection
from epaxos.ctl.errors import AskError, CtlError, Refused
from epaxos.ctl.options import Settings
from epaxos.protocol.values.ids import NUMBER_LIMIT

__all__ = [
    "HERE",
    "Answer",
    "Candidate",
    "Change",
    "Member",
    "ask_all",
    "candidates_at",
    "history_at",
    "members_at",
    "status_of",
    "version_at",
]

_Row = TypeVar("_Row")

ASKED_AT_ONCE = 32
DIGEST_S = 60.0
"""The least time in seconds that a member has to make a digest of its state."""
HERE = "here"
"""The state of the member that was asked for the members."""


@dataclass
class Member:
    """A member, and its state as the replica that was asked sees it.

    `peer`: how the other replicas reach it; `client`, `status`: how others do, or, where that is not known,
    on what it listens.  `uid`: that of its data folder; empty when it is not known.  `version`: the
    highest version of commands that its program can do; empty when it is not connected.
    """

    number: int
    peer: str
    client: str
    status: str
    state: str
    uid: str = ""
    version: str = ""


class Candidate(NamedTuple):
    """A replica that wants to join.  `behind_bytes`: what it lacks of the state; None: it has not said."""

    number: int
    peer: str
    client: str
    status: str
    behind_bytes: int | None
    uid: str


class Change(NamedTuple):
    """A list of members that began: with which epoch, when and why it was proposed, in seconds since 1970,
    and the numbers of the members."""

    epoch: int
    at: int
    why: str
    members: tuple[int, ...]


@dataclass
class Answer:
    """What a member said of itself, or in `error` why it said nothing.

    `lag`: the instances that some member has committed and this one has not executed, as far as is known.
    None in an earlier epoch than that of another member, because slots begin again with each epoch.
    `newest_epoch`: the newest epoch in which a member is.
    """

    member: Member
    asked: str
    status: dict[str, Any] = field(default_factory=dict)
    memory_bytes: int | None = None
    error: str | None = None
    lag: int | None = None
    newest_epoch: int = 0

    @property
    def epoch(self) -> int | None:
        """The number of the epoch in which the member is; None if it does not show it."""
        epoch = self.status.get("epoch")
        number = epoch.get("number") if isinstance(epoch, dict) else None
        return number if _is_number(number) else None

    @property
    def version(self) -> int | None:
        """The version of commands of the epoch in which the member is; None if it does not show it."""
        epoch = self.status.get("epoch")
        number = epoch.get("version") if isinstance(epoch, dict) else None
        return number if _is_number(number) else None

    def count(self, name: str) -> int | None:
        """The counter of this name; None if the member does not show it."""
        counters = self.status.get("counters")
        value = counters.get(name) if isinstance(counters, dict) else None
        return value if _is_number(value) else None

    def vector(self, name: str) -> tuple[int, ...]:
        """One slot for each row; empty if the member does not show it."""
        value = self.status.get(name)
        if isinstance(value, list) and all(map(_is_number, value)):
            return tuple(value)
        return ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < NUMBER_LIMIT


def members_at(settings: Settings) -> list[Member]:
    """The members, as the replica of `--at` names them.  Raises CtlError."""
    rows = _rows_at(settings, _member, "MEMBERS")
    if not rows:
        raise CtlError(f"{settings.at} knows no members yet: it has not reached the cluster that it joins")
    return sorted(rows, key=lambda member: member.number)


def candidates_at(settings: Settings) -> list[Candidate]:
    """Who wants to join, as the replica of `--at` knows it.  Raises CtlError."""
    return _rows_at(settings, _candidate, "CANDIDATES")


def history_at(settings: Settings) -> list[Change]:
    """The lists of members that the replica of `--at` has seen begin, the oldest first.  Raises CtlError."""
    return _rows_at(settings, _change, "MEMBERS", "HISTORY")


def _rows_at(settings: Settings, read: Callable[[Any], _Row], *question: str) -> list[_Row]:
    """What `read` makes of each row that the replica of `--at` answers.  Raises CtlError."""
    try:
        with settings.connect() as connection:
            reply = connection.ask("EPAXOS", *question)
    except Refused as refused:
        if refused.reply.startswith("ERR unknown command"):
            raise CtlError(f"{settings.at} is no replica that epaxosctl can ask: {refused.reply}") from None
        raise CtlError(str(refused)) from None
    except AskError as error:
        raise CtlError(str(error)) from None
    try:
        return list(map(read, _list(reply)))
    except ValueError:
        raise CtlError(f"{settings.at}: its list of members cannot be understood") from None


def _list(reply: Any, least: int = 0) -> list[Any]:
    """The reply, a list of `least` elements or more.  Raises ValueError."""
    if not isinstance(reply, list) or len(reply) < least:
        raise ValueError("no list")
    return reply


def _member(row: Any) -> Member:
    """A row of the reply.  Further columns are left to later versions; an earlier one tells no uid, or no
    version."""
    number, peer, client, status, state, *more = _list(row, 5)
    uid, version = ([_text(each) if isinstance(each, bytes) else "" for each in more] + ["", ""])[:2]
    return Member(_number(number), _text(peer), _text(client), _text(status), _text(state), uid, version)


def _candidate(row: Any) -> Candidate:
    number, peer, client, status, behind, uid = _list(row, 6)[:6]
    behind_bytes = None if behind is None else _number(behind)
    return Candidate(_number(number), _text(peer), _text(client), _text(status), behind_bytes, _text(uid))


def _change(row: Any) -> Change:
    epoch, at, why, members = _list(row, 4)[:4]
    return Change(_number(epoch), _number(at), _text(why), tuple(map(_number, _list(members))))


def _number(value: Any) -> int:
    if not _is_number(value):
        raise ValueError("no number")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        raise ValueError("no text")
    return value.decode(errors="replace")


def status_of(connection: Connection, digest: bool = False) -> dict[str, Any]:
    """What the replica says of itself, as `GET /status` does; with the `digest` of its state where that is
    asked for.  Raises AskError, ValueError.
    """
    reply = connection.ask("EPAXOS", "STATUS", *(["DIGEST"] if digest else []))
    try:
        status = json.loads(reply)
    except (TypeError, ValueError, RecursionError):
        status = None
    if not isinstance(status, dict):
        raise ValueError("its status cannot be understood")
    return status


def ask_all(settings: Settings, members: Sequence[Member], digest: bool = False) -> list[Answer]:
    """The answers of all members, in their order.  They are asked at the same time.

    `digest`: each is asked for the digest of its state, too.
    """
    with ThreadPoolExecutor(min(len(members), ASKED_AT_ONCE)) as pool:
        answers = list(pool.map(lambda member: _ask(settings, member, digest), members))
    _compare(answers)
    return answers


def version_at(connection: Connection) -> int | None:
    """The version of the cluster, as this replica says; None when it does not."""
    try:
        epoch = status_of(connection).get("epoch")
    except (AskError, ValueError):
        return None
    version = epoch.get("version") if isinstance(epoch, dict) else None
    return version if _is_number(version) else None


def _ask(settings: Settings, member: Member, digest: bool) -> Answer:
    try:
        address = _address_of(settings, member)
    except ValueError as why:
        return Answer(member, member.client, error=str(why))
    answer = Answer(member, str(address))
    try:
        timeout_s = max(settings.timeout, DIGEST_S) if digest else settings.timeout
        with settings.connect(address, timeout_s) as connection:
            status = status_of(connection, digest)
            answer.memory_bytes = _memory(connection)
    except AskError as error:
        answer.error = str(error)
    except ValueError as why:
        answer.error = f"{address}: {why}"
    else:
        answer.status = status
        who = status.get("id")
        if who != member.number:
            answer.error = f"{address}: replica {who} answered there, not replica {member.number}"
    return answer


def _address_of(settings: Settings, member: Member) -> Address:
    if member.state == HERE:
        return settings.at
    kind, _, rest = member.client.partition(":")
    if kind == "tls" and not settings.tls:
        raise ValueError(f"{member.client} speaks TLS: give --tls")
    client = f"tcp:{rest}" if kind == "tls" else member.client
    return client_address(client, member.peer, settings.at)


def _memory(connection: Connection) -> int | None:
    """The memory of the process in bytes; None if the replica does not tell."""
    reply = connection.ask("INFO", "memory")
    text = reply if isinstance(reply, bytes) else b""
    found = re.search(rb"^used_memory:(\d{1,18})\r?$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _compare(answers: Iterable[Answer]) -> None:
    """Find out who is of another cluster, and how far each is behind the others."""
    reached = [answer for answer in answers if answer.error is None]
    first = next((a for a in reached if a.member.state == HERE), reached[0] if reached else None)
    for answer in list(reached):
        if first is not None and answer.status.get("cluster") != first.status.get("cluster"):
            answer.error = f"{answer.asked}: the cluster {answer.status.get('cluster')!r} answered there"
            reached.remove(answer)
    newest_epoch = max((answer.epoch or 0 for answer in reached), default=0)
    for answer in reached:
        answer.newest_epoch = newest_epoch
    alike = [answer for answer in reached if (answer.epoch or 0) == newest_epoch]
    lengths = {len(a.vector(name)) for a in alike for name in ("committed", "executed")}
    if len(lengths) == 1 and 0 not in lengths:
        newest = [max(slots) for slots in zip(*(answer.vector("committed") for answer in alike))]
        for answer in alike:
            executed = answer.vector("executed")
            answer.lag = sum(max(0, high - own) for high, own in zip(newest, executed))
