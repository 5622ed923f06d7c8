"""The sessions: which numbers of a client have run, and the replies that it may still ask for.

They are a part of the state.  What is decided on a session depends on nothing but that session; what is
decided on their number (`begin`) depends on the sessions that there are.  So the keys of a batch say it all:
commands with numbers write the key of their session, and whatever begins or ends one the common key, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from struct import Struct
from typing import NamedTuple

from epaxos.interfaces import CommandError, Reply
from epaxos.statemachines.once.replies import REPLY_BYTES_MAX, decode_reply, encode_reply

__all__ = ["SESSIONS_MAX", "SESSION_BYTES_MAX", "SESSION_ID_BYTES", "Sessions"]

SESSIONS_BYTES_MAX = 64 << 20
"""The bytes that all sessions may take.  It decides what commands do, so it has to be the same at every
replica, and is no setting."""
SESSION_BYTES_MAX = 8192
"""The bytes of a session's replies: about 100 short ones, or 7 of the longest.  Each session has its own
bound, because sessions whose commands have no common order must not compete for one."""
SESSIONS_MAX = SESSIONS_BYTES_MAX // SESSION_BYTES_MAX
"""The number of sessions beyond which none begins."""
KEPT_BYTES = 64
"""What a kept reply costs beside its bytes."""
SESSION_ID_BYTES = 16

NO_SESSION = "NOSESSION the session is unknown or has ended: the command may have run, and does not run again"
PASSED = (
    "ONCELOST the number was acknowledged, or too many replies were kept: the command may have run, and does"
    " not run again"
)
TOO_LONG = (
    f"ONCELOST the reply was longer than {REPLY_BYTES_MAX} bytes: the command has run, and does not run again"
)
TOO_MANY = f"ERR there are {SESSIONS_MAX} sessions already: no session can begin before one ends"

_HEAD = Struct("<QQQ")
_KEPT = Struct("<QI")
_NOT_KEPT = b""
"""Stands for a reply that was too long."""


class _Session(NamedTuple):
    """A session, which never changes: a new one takes its place.

    `used_s`: when it was last used, in seconds since 1970, as the replicas that proposed said; `uses`: how
    often.  `passed`: numbers up to here do not run any more.  `kept`: the encoded replies by their numbers.
    """

    used_s: int
    uses: int
    passed: int
    kept: Mapping[int, bytes]

    def encode(self) -> bytes:
        """The session as an entry of the state."""
        kept = (_KEPT.pack(number, len(reply)) + reply for number, reply in sorted(self.kept.items()))
        return _HEAD.pack(self.used_s, self.uses, self.passed) + b"".join(kept)

    @classmethod
    def decode(cls, data: bytes) -> _Session:
        """What `encode` made."""
        used_s, uses, passed = _HEAD.unpack_from(data)
        kept = {}
        position = _HEAD.size
        while position < len(data):
            number, length = _KEPT.unpack_from(data, position)
            position += _KEPT.size
            kept[number] = data[position : position + length]
            position += length
        return cls(used_s, uses, passed, kept)


class Sessions:
    """All sessions, by their ids."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, _Session] = {}

    # -- commands

    def begin(self, id: bytes, now_s: int) -> Reply:
        """Begin a session; the reply is its id for people, or an error when there are too many."""
        if len(self._sessions) >= SESSIONS_MAX:
            return CommandError(TOO_MANY)
        self._sessions[id] = _Session(now_s, 0, 0, {})
        return id.hex().encode()

    def end(self, id: bytes, uses: int | None) -> Reply:
        """End a session; with `uses` only if it was used that often.  The reply says whether one ended."""
        session = self._sessions.get(id)
        if session is None or (uses is not None and session.uses != uses):
            return 0
        del self._sessions[id]
        return 1

    def answer(self, id: bytes, number: int, acked: int, now_s: int) -> Sequence[Reply]:
        """The reply to a command that must not run, alone in a list; empty when the command has to run now,
        and `keep` to be called behind it.

        The client has all replies up to `acked`.
        """
        session = self._sessions.get(id)
        if session is None:
            return [CommandError(NO_SESSION)]
        passed, kept = max(session.passed, acked), session.kept
        if any(old <= acked for old in kept):
            kept = {old: reply for old, reply in kept.items() if old > acked}
        self._sessions[id] = _Session(max(session.used_s, now_s), session.uses + 1, passed, kept)
        if number in kept:
            reply = kept[number]
            return [CommandError(TOO_LONG) if reply == _NOT_KEPT else decode_reply(reply)]
        return [CommandError(PASSED)] if number <= passed else []

    def keep(self, id: bytes, number: int, reply: Reply) -> None:
        """The command of this number has run, and this is its reply.

        Where the session would become too large, the lowest numbers are passed.
        """
        used_s, uses, passed, before = self._sessions[id]
        kept = {**before, number: encode_reply(reply) or _NOT_KEPT}
        size = sum(map(len, kept.values())) + KEPT_BYTES * len(kept)
        while size > SESSION_BYTES_MAX:
            passed = max(passed, lowest := min(kept))
            size -= len(kept.pop(lowest)) + KEPT_BYTES
        self._sessions[id] = _Session(used_s, uses, passed, kept)

    # -- what others ask

    def idle(self, before_s: int, count: int) -> list[tuple[bytes, int]]:
        """At most `count` sessions that were last used at `before_s` or earlier, each with its uses."""
        found = ((id, one.uses) for id, one in self._sessions.items() if one.used_s <= before_s)
        return list(islice(found, count))

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """The sessions as they are now, by their ids, in any order."""
        return _encoded(self._sessions.copy())

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Add sessions that were `entries`.  Raises ValueError for what is none."""
        for id, data in entries:
            try:
                self._sessions[id] = _Session.decode(data)
            except Exception as error:
                raise ValueError(f"a session that cannot be read: {error}") from None


def _encoded(sessions: Mapping[bytes, _Session]) -> Iterator[tuple[bytes, bytes]]:
    for id, session in sessions.items():
        yield id, session.encode()
