"""The server that keys are imported from: its URL, and what it is asked."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import hiredis

from epaxos.ctl.address import Address
from epaxos.ctl.connection import Connection
from epaxos.ctl.errors import Refused, one_line

__all__ = ["Dumped", "Page", "Source", "SourceUrl", "parse_url"]

PAGE = 100
"""About how many keys one SCAN is asked for."""
PORT = 6379
DATABASES = 16
REPLY_BYTES_MAX = 600_000_000
"""The most bytes of one value: Redis has strings of up to 512 MiB."""


class SourceUrl(NamedTuple):
    """`redis://[user][:password]@host:port/database`, or `rediss://…` for TLS."""

    address: Address
    user: str
    password: str
    database: int
    is_tls: bool

    def __str__(self) -> str:
        """Without the password."""
        return f"{'rediss' if self.is_tls else 'redis'}://{self.address}/{self.database}"


def parse_url(text: str) -> SourceUrl:
    """The parts of a URL as redis-cli -u takes it.  Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in ("redis", "rediss"):
        raise ValueError("it begins with redis:// or rediss://")
    if parts.query or parts.fragment or not parts.hostname:
        raise ValueError("it is redis://[user][:password]@host[:port][/database]")
    number = parts.path.removeprefix("/") or "0"
    if not (number.isascii() and number.isdecimal() and int(number) < DATABASES):
        raise ValueError(f"the database is 0 to {DATABASES - 1}, not {number!r}")
    return SourceUrl(
        Address(parts.hostname, parts.port or PORT),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        int(number),
        parts.scheme == "rediss",
    )


class Page(NamedTuple):
    """Keys that one SCAN has found, and the cursor behind them; b"0" behind the last ones."""

    keys: list[bytes]
    cursor: bytes


class Dumped(NamedTuple):
    """A key and its value as DUMP has it.  `ttl_ms`: how long it still lives; 0: without end."""

    key: bytes
    payload: bytes
    ttl_ms: int


class Source:
    """A connection to the source.  A context manager; everything raises AskError.

    `ca`: a file with the certificates to trust; None: those of this host.
    """

    def __init__(self, url: SourceUrl, ca: Path | None, timeout_s: float) -> None:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca)) if url.is_tls else None
        self._connection = Connection(url.address, "", timeout_s, context, REPLY_BYTES_MAX)
        try:
            if url.password:
                self._connection.ask("AUTH", *([url.user] if url.user else []), url.password)
            if url.database:
                self._connection.ask("SELECT", str(url.database))
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def count(self) -> int:
        """How many keys there are now."""
        return int(self._connection.ask("DBSIZE"))

    def run_id(self) -> str:
        """What changes with each start of the source, and with it the meaning of its cursors."""
        text = self._connection.ask("INFO", "server").decode(errors="replace")
        found = [line[len("run_id:") :] for line in text.splitlines() if line.startswith("run_id:")]
        return found[0] if found else ""

    def page(self, cursor: bytes) -> Page:
        """The keys behind `cursor`; each once."""
        behind, keys = self._connection.ask("SCAN", cursor, "COUNT", str(PAGE))
        return Page(list(dict.fromkeys(keys)), behind)

    def dump(self, keys: Sequence[bytes]) -> Iterator[Dumped]:
        """The values of these keys, but for those that have gone meanwhile.

        A key that has less than a millisecond to live gets one, because 0 means without end.
        """
        commands = [words for key in keys for words in (("PTTL", key), ("DUMP", key))]
        replies = self._connection.ask_each(commands)
        for key, ttl_ms, payload in zip(keys, replies, replies):
            for reply in (ttl_ms, payload):
                if isinstance(reply, hiredis.ReplyError):
                    raise Refused(f"the source refused: {one_line(str(reply))}", str(reply))
            if payload is not None and ttl_ms != -2:
                yield Dumped(key, payload, _lives(ttl_ms))


def _lives(ttl_ms: Any) -> int:
    return 0 if ttl_ms == -1 else max(1, int(ttl_ms))
