"""The kinds of values that a setting may have: how each is read, shown and described.

A kind reads the text of a configuration file.  It raises ValueError with a text that continues the line
"KEY = TEXT: ".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from epaxos.config.endpoints import check_client, check_peer_client, check_peer_server, check_server

__all__ = [
    "CLIENT_ENDPOINT",
    "FILE",
    "FOLDER",
    "NAME",
    "PASSWORD",
    "PEER_CLIENT_ENDPOINT",
    "PEER_ENDPOINT",
    "SERVER_ENDPOINT",
    "YES_OR_NO",
    "Kind",
    "Number",
    "OneOf",
]


class Kind(Protocol):
    """One kind of value."""

    def read(self, text: str) -> Any:
        """The value that `text` stands for.  Raises ValueError."""

    def show(self, value: Any) -> str:
        """`value` as a configuration file writes it."""

    def allowed(self) -> str:
        """The allowed values and their unit, in words."""


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`: whole, or else a number of seconds."""

    low: float
    high: float
    unit: str

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are allowed."""
        return isinstance(self.low, int)

    def read(self, text: str) -> float:
        """See Kind."""
        try:
            number = int(text) if self.is_whole else float(text)
        except ValueError:
            what = "a whole number" if self.is_whole else "a number of seconds"
            raise ValueError(f"is not {what}; allowed: {self._range()}") from None
        if not self.low <= number <= self.high:  # nor is it NaN
            raise ValueError(f"is out of range; allowed: {self._range()}")
        return number

    def show(self, value: float) -> str:
        """See Kind."""
        return f"{value:_}"

    def allowed(self) -> str:
        """See Kind."""
        return f"{self._range()} {self.unit}"

    def _range(self) -> str:
        return f"{_short(self.low)} to {_short(self.high)}"


def _short(number: float) -> str:
    return f"{int(number):_}" if number == int(number) else f"{number:_}"


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, text: str) -> str:
        """See Kind."""
        if text not in self.words:
            raise ValueError(f"is not known; allowed: {', '.join(self.words)}")
        return text

    def show(self, value: str) -> str:
        """See Kind."""
        return value

    def allowed(self) -> str:
        """See Kind."""
        return " or ".join(self.words)


class _YesOrNo:
    """A switch."""

    _words = OneOf(("yes", "no"))

    def read(self, text: str) -> bool:
        """See Kind."""
        return self._words.read(text) == "yes"

    def show(self, value: bool) -> str:
        """See Kind."""
        return "yes" if value else "no"

    def allowed(self) -> str:
        """See Kind."""
        return self._words.allowed()


@dataclass(frozen=True)
class _Text:
    """A text that `check` accepts; otherwise `check` raises ValueError."""

    check: Callable[[str], None]
    what: str

    def read(self, text: str) -> str:
        """See Kind."""
        self.check(text)
        return text

    def show(self, value: str) -> str:
        """See Kind."""
        return value

    def allowed(self) -> str:
        """See Kind."""
        return self.what


_NAME_CHARACTERS = "1 to 64 of the characters A-Z a-z 0-9 _ . -"


def _check_name(text: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text):
        raise ValueError(f"is not a name; allowed: {_NAME_CHARACTERS}")


_PASSWORD_CHARACTERS = "none, or 1 to 512 printable characters"


def _check_password(text: str) -> None:
    if len(text) > 512 or not text.isprintable():
        raise ValueError(f"is not a password; allowed: {_PASSWORD_CHARACTERS}")


def _check_folder(text: str) -> None:
    if not text or "\0" in text:
        raise ValueError("is not a folder")


def _check_file(text: str) -> None:
    if not text or "\0" in text:
        raise ValueError("is not a file")


def _endpoint(check: Callable[[str], None], what: str) -> _Text:
    def check_endpoint(text: str) -> None:
        try:
            check(text)
        except ValueError as why:
            raise ValueError(f"is not an endpoint: {why}") from None

    return _Text(check_endpoint, what)


NAME = _Text(_check_name, _NAME_CHARACTERS)
FILE = _Text(_check_file, "a path")
PASSWORD = _Text(_check_password, _PASSWORD_CHARACTERS)
FOLDER = _Text(_check_folder, "a path")
YES_OR_NO = _YesOrNo()
SERVER_ENDPOINT = _endpoint(check_server, "a server endpoint string of Twisted")
PEER_ENDPOINT = _endpoint(
    check_peer_server, "a server endpoint string of Twisted, or udp:PORT:interface=ADDRESS"
)
CLIENT_ENDPOINT = _endpoint(check_client, "a client endpoint string of Twisted")
PEER_CLIENT_ENDPOINT = _endpoint(
    check_peer_client, "a client endpoint string of Twisted, or udp:ADDRESS:PORT"
)
