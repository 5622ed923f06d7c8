"""`epaxosctl move`: all members learn the new addresses of one."""

from __future__ import annotations

import click

from epaxos.config.endpoints import check_client, check_peer_client
from epaxos.ctl.change import CHANGE_OPTIONS, NUMBER, change
from epaxos.ctl.options import Command, Settings

__all__ = ["command"]

HELP = """
Tell all members the new addresses of the member NUMBER.

Each is a client endpoint string, as peer_connect, client_connect and status_connect of its section in the
configuration file; what is not given stays.  Its own file has to say where it listens.
"""


def _address(name: str, help: str) -> click.Option:
    return click.Option([name], metavar="ENDPOINT", default="", help=help)


PARAMS: list[click.Parameter] = [
    click.Argument(["number"], type=NUMBER),
    _address("--peer", "How other replicas reach it."),
    _address("--client", "How clients reach it."),
    _address("--status", "How its status is reached."),
    *CHANGE_OPTIONS,
]


@click.command("move", Command, help=HELP, params=PARAMS)
@click.pass_obj
def command(
    settings: Settings, number: int, peer: str, client: str, status: str, dry_run: bool, force: bool
) -> None:
    """Ask the replica of --at, and say which epoch began."""
    given = {"PEER": peer, "CLIENT": client, "STATUS": status}
    if not any(given.values()):
        raise click.UsageError("give one of --peer, --client and --status")
    words = ["MOVE", str(number)]
    for name, endpoint in given.items():
        if endpoint:
            _check(name, endpoint)
            words += [name, endpoint]
    change(settings, tuple(words), dry_run, force)


def _check(name: str, endpoint: str) -> None:
    try:
        check_peer_client(endpoint) if name == "PEER" else check_client(endpoint)
    except ValueError as why:
        raise click.UsageError(f"--{name.lower()} {endpoint}: is not an endpoint: {why}") from None
