"""The commands of `epaxosctl`, a file each.

A new one is a file that ends with `command`, and a line in COMMANDS.
"""

from __future__ import annotations

import click

from epaxos.ctl.commands import (
    add,
    backup,
    doctor,
    import_keys,
    inspect,
    members,
    move,
    new,
    remove,
    replace,
    restore,
    status,
    top,
    turn,
    wait_ready,
)

__all__ = ["COMMANDS"]

COMMANDS: list[click.Command] = [
    add.command,
    backup.command,
    doctor.command,
    import_keys.command,
    inspect.command,
    members.command,
    move.command,
    new.command,
    remove.command,
    replace.command,
    restore.command,
    status.command,
    top.command,
    turn.command,
    wait_ready.command,
]
