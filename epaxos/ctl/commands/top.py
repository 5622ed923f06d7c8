"""`epaxosctl top`: the cluster at work, on a terminal."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from epaxos.ctl.errors import CtlError
from epaxos.ctl.health.findings import findings
from epaxos.ctl.health.frame import View, executed, frame, received, state_of
from epaxos.ctl.health.reading import ups_in, value_in
from epaxos.ctl.members import Answer, Member, ask_all, members_at
from epaxos.ctl.options import SECONDS, Command, Settings
from epaxos.ctl.output import print_json

if TYPE_CHECKING:
    from rich.console import Console, Group

__all__ = ["command"]

PATIENCE_S = 2.0
"""The longest wait for a member, so that one that hangs does not stop the picture."""
TOTALS_KEPT = 600
"""The figures behind the curve of commands: ten minutes by default."""

HELP = """
Show the members at work: who sees whom, commands a second, times to the reply, disks, and the last warnings.

The figures are those of the last second of each member.  It goes on until Ctrl-C.  On a narrow terminal
columns are left out.  With --once, or --json, one picture is printed.
"""


@click.command("top", Command, help=HELP)
@click.option("--once", is_flag=True, help="Print one picture and end, also where stdout is no terminal.")
@click.option(
    "--every", "pause_s", type=SECONDS, default=1.0, show_default=True, help="How often to ask the members."
)
@click.pass_obj
def command(settings: Settings, once: bool, pause_s: float) -> None:
    """Ask, and show, again and again."""
    watch = _Watch(dataclasses.replace(settings, timeout=min(settings.timeout, PATIENCE_S)))
    if settings.json:
        print_json(_document(settings, watch.ask()))
        return
    from rich.console import Console

    console = Console(highlight=False)
    if once:
        console.print(watch.picture(console, watch.ask(), is_bounded=False))
        return
    if not sys.stdout.isatty():
        raise CtlError("stdout is no terminal: give --once, or --json")
    try:
        _go_on(console, watch, pause_s)
    except KeyboardInterrupt:
        return  # it is how one ends it


def _go_on(console: Console, watch: _Watch, pause_s: float) -> None:
    from rich.live import Live

    answers = watch.ask()  # before the terminal is taken: what is wrong at once is told below the prompt
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(watch.picture(console, answers), refresh=True)
            time.sleep(pause_s)
            answers = watch.ask()


class _Watch:
    """Asks all members, and remembers what the curve needs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._members: Sequence[Member] = ()
        self._totals: deque[float] = deque(maxlen=TOTALS_KEPT)

    def ask(self) -> Sequence[Answer]:
        """What all say.  Where the replica of --at is gone, those that it named before are asked.

        Raises CtlError when it has named none yet.
        """
        try:
            self._members = members_at(self._settings)
        except CtlError:
            if not self._members:
                raise
        answers = ask_all(self._settings, self._members)
        self._totals.append(received(answers))
        return answers

    def picture(self, console: Console, answers: Sequence[Answer], is_bounded: bool = True) -> Group:
        """For this terminal; all of it, unless `is_bounded`."""
        from rich.console import Group

        view = View(
            answers,
            findings(answers, time.time()),
            console.width,
            console.height if is_bounded else None,
            list(self._totals),
            draws=console.encoding.lower().startswith("utf"),
        )
        return Group(*frame(view))


def _document(settings: Settings, answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "at": str(settings.at),
        "received": received(answers),
        "executed": executed(answers),
        "members": [
            {
                "id": answer.member.number,
                "state": state_of(answer, answers),
                "sees": sorted(ups) if (ups := ups_in(answer)) is not None else None,
                "lag": answer.lag,
                "last_second": value_in(answer, "last_second"),
            }
            for answer in answers
        ],
    }
