"""The commands of `epaxosctl`, a file each.

A new one is a file that ends with `command`, and a line in COMMANDS.
"""

from __future__ import annotations

import click

from epaxos.ctl.commands import (
    add,
    backup,
    inspect,
    members,
    move,
    remove,
    replace,
    restore,
    status,
    turn,
    wait_ready,
)

__all__ = ["COMMANDS"]

COMMANDS: list[click.Command] = [
    add.command,
    backup.command,
    inspect.command,
    members.command,
    move.command,
    remove.command,
    replace.command,
    restore.command,
    status.command,
    turn.command,
    wait_ready.command,
]
