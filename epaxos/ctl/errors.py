"""What can go wrong, each as one line."""

from __future__ import annotations

from typing import IO, Any

import click

__all__ = ["AskError", "CtlError", "Refused", "Unreached", "one_line", "printable"]

LINE_CHARACTERS = 400
"""The most characters that are shown of a text that came from elsewhere."""


def printable(text: str) -> str:
    """The text as one line, without anything that a terminal would obey."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def one_line(text: str) -> str:
    """A text that came from elsewhere: printable, and not too long."""
    shown = printable(text)
    return shown if len(shown) <= LINE_CHARACTERS else f"{shown[:LINE_CHARACTERS]}…"


class CtlError(click.ClickException):
    """The command cannot do what it was asked for.  It ends with status 1 and this line on stderr."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """See ClickException."""
        click.echo(f"epaxosctl: {printable(self.message)}", err=True)


class AskError(Exception):
    """A replica did not answer a question.  The text is one line, which begins with its address."""


class Unreached(AskError):
    """There is no connection, or what came over it is no answer."""


class Refused(AskError):
    """The replica answered with an error.  `reply` is that error, which begins with a code in capitals."""

    def __init__(self, text: str, reply: str) -> None:
        super().__init__(text)
        self.reply = reply
