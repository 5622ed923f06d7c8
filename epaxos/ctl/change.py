"""How the members are changed: one command to the replica of `--at`, and what is shown of its answer."""

from __future__ import annotations

from typing import Any

import click

from epaxos.ctl.errors import AskError, CtlError, printable
from epaxos.ctl.options import Settings
from epaxos.ctl.output import print_json, progress
from epaxos.protocol.values.membership import NUMBER_MAX

__all__ = ["CHANGE_OPTIONS", "NUMBER", "change"]

NUMBER = click.IntRange(0, NUMBER_MAX)
"""The number of a replica."""

CHANGE_OPTIONS = [
    click.Option(
        ["--dry-run"],
        is_flag=True,
        help="Only say what would happen, and whether it would be refused.",
    ),
    click.Option(
        ["--force"],
        is_flag=True,
        help="Do it although a new member lacks the state, or too few members are there to run commands.",
    ),
]
"""What every command has that changes the members."""


def change(settings: Settings, words: tuple[str, ...], dry_run: bool, force: bool) -> None:
    """Ask for the change that `words` name, and print the answer.  Raises CtlError."""
    command = ["EPAXOS", *words, *(["DRYRUN"] if dry_run else []), *(["FORCE"] if force else [])]
    try:
        with progress(f"waiting for {settings.at}"), settings.connect() as connection:
            reply = connection.ask(*command)
    except AskError as error:
        raise CtlError(str(error).replace("(FORCE ", "(--force ")) from None
    if dry_run:
        _show_lines(settings, reply)
    else:
        _show_epoch(settings, reply)


def _show_lines(settings: Settings, reply: Any) -> None:
    if not isinstance(reply, list) or not all(isinstance(line, bytes) for line in reply):
        raise CtlError(f"{settings.at}: its answer cannot be understood")
    lines = [printable(line.decode(errors="replace")) for line in reply]
    if settings.json:
        print_json({"dry_run": True, "epoch": None, "members": None, "lines": lines})
    else:
        for line in lines:
            click.echo(line)


def _show_epoch(settings: Settings, reply: Any) -> None:
    epoch, members = reply if isinstance(reply, list) and len(reply) == 2 else (None, None)
    if not isinstance(epoch, int) or not isinstance(members, list) or not members:
        raise CtlError(f"{settings.at}: its answer cannot be understood")
    if not all(isinstance(number, int) for number in members):
        raise CtlError(f"{settings.at}: its answer cannot be understood")
    if settings.json:
        print_json({"dry_run": False, "epoch": epoch, "members": members, "lines": None})
    else:
        listed = ", ".join(map(str, members))
        click.echo(f"epoch {epoch} has begun, and is safe; its members are {listed}")
