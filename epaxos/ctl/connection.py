"""One connection to the client port of one replica, with a deadline for every answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ssl import SSLContext
from time import monotonic
from types import TracebackType
from typing import Any, cast

import hiredis

from epaxos.ctl.address import Address
from epaxos.ctl.errors import Refused, Unreached, one_line

__all__ = ["Connection"]

REPLY_BYTES_MAX = 64_000_000
"""The most bytes of one reply."""
RECEIVE_BYTES = 1 << 16
NEEDS_PASSWORD = ("NOAUTH", "NOPERM")


class Connection:
    """A connection on which each question waits for its answer.  A context manager, which closes it.

    `password` is sent first when it is not empty, as that of `user` ("": default).  `timeout_s` bounds the
    connecting and each answer, which has at most `reply_bytes_max` bytes (0: REPLY_BYTES_MAX).  `tls`: for a
    server that speaks TLS.  Everything raises Unreached or Refused.
    """

    def __init__(
        self,
        address: Address,
        password: str,
        timeout_s: float,
        tls: SSLContext | None = None,
        reply_bytes_max: int = 0,
        user: str = "",
    ) -> None:
        self._address = address
        self._tls = tls
        self._reply_bytes_max = reply_bytes_max or REPLY_BYTES_MAX
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader()
        self._socket = self._connect()
        try:
            if password:
                self.ask("AUTH", *([user] if user else []), password)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def ask(self, *command: str | bytes) -> Any:
        """The reply to a command: None, int, bytes, or a list of such."""
        (reply,) = self.ask_each([command])
        if isinstance(reply, hiredis.ReplyError):
            raise self._refused(str(reply))
        return reply

    def ask_each(self, commands: Sequence[Sequence[str | bytes]]) -> Iterator[Any]:
        """The replies to commands that are sent together, one by one; an error is a hiredis.ReplyError.

        All of them have to be taken before anything else is asked.
        """
        packed = [hiredis.pack_command(cast(Any, tuple(map(_encoded, words)))) for words in commands]
        with self._heard(commands[0][0] if commands else ""):
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(b"".join(packed))
        for words in commands:
            with self._heard(words[0]):
                reply = self._receive(monotonic() + self._timeout_s)
            yield reply

    @contextmanager
    def _heard(self, name: str | bytes) -> Iterator[None]:
        """Whatever goes wrong inside is told as Unreached."""
        try:
            yield
        except TimeoutError:
            raise self._unreached(
                f"it did not answer {_shown(name)} within {_seconds(self._timeout_s)} s"
            ) from None
        except OSError as error:
            raise self._unreached(f"the connection is lost: {_text_of(error)}") from None
        except hiredis.ProtocolError:
            raise self._unreached("it does not speak the Redis protocol") from None

    def _connect(self) -> socket.socket:
        address = self._address
        try:
            if not address.path:
                return self._secured(socket.create_connection(address[:2], self._timeout_s))
            connected = socket.socket(socket.AF_UNIX)
            try:
                connected.settimeout(self._timeout_s)
                connected.connect(address.path)
            except BaseException:
                connected.close()
                raise
            return connected
        except TimeoutError:
            raise self._unreached(f"it cannot be reached within {_seconds(self._timeout_s)} s") from None
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
            raise self._unreached(f"it cannot be reached: {_text_of(error)}") from None

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self._tls is None:
            return plain
        try:
            return self._tls.wrap_socket(plain, server_hostname=self._address.host)
        except BaseException:
            plain.close()
            raise

    def _receive(self, deadline: float) -> Any:
        received = 0
        while (reply := self._reader.gets()) is False:
            left_s = deadline - monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._socket.settimeout(left_s)
            data = self._socket.recv(RECEIVE_BYTES)
            if not data:
                raise self._unreached("it closed the connection")
            received += len(data)
            if received > self._reply_bytes_max:
                raise self._unreached(f"its answer is longer than {self._reply_bytes_max} bytes")
            self._reader.feed(data)
        return reply

    def _unreached(self, why: str) -> Unreached:
        return Unreached(f"{self._address}: {why}")

    def _refused(self, reply: str) -> Refused:
        hint = " (--password, or EPAXOS_PASSWORD)" if reply.startswith(NEEDS_PASSWORD) else ""
        return Refused(f"{self._address}: it refused: {one_line(reply)}{hint}", reply)


def _seconds(time_s: float) -> str:
    """A time in seconds for people: three digits, or as many as a whole number needs."""
    return f"{time_s:.3g}" if time_s < 100 else f"{time_s:.0f}"


def _shown(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode(errors="replace")


def _encoded(word: str | bytes) -> bytes:
    return (
        word if isinstance(word, bytes) else word.encode(errors="surrogateescape")
    )  # as the environment may give it


def _text_of(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
