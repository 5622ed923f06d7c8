"""The command line: `epaxosctl`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

import epaxos
from epaxos.ctl.commands import COMMANDS
from epaxos.ctl.errors import CtlError
from epaxos.ctl.options import GLOBAL_OPTIONS

__all__ = ["cli", "main"]


class _Group(click.Group):
    """A group whose commands never end with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """See Group."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click knows what to do, also when nobody reads stdout any more
        except OSError as error:
            _give_up_stdout()
            raise CtlError(str(error.strerror or error)) from error
        except Exception as error:
            raise CtlError(f"internal error, please report it: {type(error).__name__}: {error}") from error


def _give_up_stdout() -> None:
    """Print nothing more if stdout cannot be written: the rest would fail once again at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


HELP = """
Look at a cluster of epaxos, and at the folders of its replicas.

The options below may stand before the command or behind it.  Exit status 0: it is done; 1: it is not, and a
line on stderr says why; 2: the command line is wrong.
"""


@click.group(
    *("epaxosctl", _Group),
    commands=COMMANDS,
    params=GLOBAL_OPTIONS,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(epaxos.__version__, prog_name="epaxosctl", message="%(prog)s %(version)s")
def cli() -> None:
    """All commands."""


def main() -> None:
    """Run the command."""
    cli(prog_name="epaxosctl")
