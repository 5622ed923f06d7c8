"""The clients that see all commands (MONITOR), and how a command is shown to them."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from epaxos.interfaces import Command
from epaxos.resp.interfaces import IClient, IMonitors

__all__ = ["Monitors"]

_PLAIN = {7: b"\\a", 8: b"\\b", 9: b"\\t", 10: b"\\n", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}
_SHOWN = [
    _PLAIN.get(byte) or (b"%c" % byte if 32 <= byte < 127 else b"\\x%02x" % byte) for byte in range(256)
]
"""Each byte as Redis shows it."""


@implementer(IMonitors)
class Monitors:
    """See IMonitors.  `now_s`: seconds since 1970.  `on_change(is_empty)`: the first comes, or the last goes:
    nobody is asked to show anything in between, so that commands cost nothing more then."""

    def __init__(self, now_s: Callable[[], float], on_change: Callable[[bool], None]) -> None:
        self.is_empty = True
        self._now_s = now_s
        self._on_change = on_change
        self._clients: dict[IClient, None] = {}

    def add(self, client: IClient) -> None:
        """See IMonitors."""
        self._clients[client] = None
        self._see()

    def discard(self, client: IClient) -> None:
        """See IMonitors."""
        if self._clients.pop(client, self) is not self:
            self._see()

    def _see(self) -> None:
        self.is_empty = not self._clients
        self._on_change(self.is_empty)

    def show(self, client: IClient, command: Command) -> None:
        """See IMonitors."""
        session = client.session
        head = b"+%.6f [%d %b] " % (self._now_s(), session.database, session.address.encode())
        line = head + b" ".join([b'"%b"' % _shown(word) for word in command]) + b"\r\n"
        for each in list(self._clients):
            each.push(line)


def _shown(word: bytes) -> bytes:
    return word if word.isalnum() else b"".join([_SHOWN[byte] for byte in word])
