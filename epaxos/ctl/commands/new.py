"""`epaxosctl new`: the configuration of a new cluster, with a password and certificates."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from epaxos.config.kinds import NAME, PASSWORD
from epaxos.ctl.errors import CtlError
from epaxos.ctl.making.certificates import MEMBER_DAYS, certificates, need_libraries
from epaxos.ctl.making.files import write_files
from epaxos.ctl.making.plan import Plan, hosts_in
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import print_json

__all__ = ["command"]

CONFIG = "cluster.ini"
PASSWORD_BYTES = 20
NAME_DEFAULT, HOSTS_DEFAULT, PORT_DEFAULT = "shop", "3", 7000

HELP = """
Make the configuration of a new cluster in FOLDER, by default a folder with the name of the cluster.

Five questions are asked, on stderr: the name, the hosts, the first port, whether clients need a password, and
whether replicas prove to each other who they are, by TLS.  An option answers its question.  --yes takes the
defaults of all others: three replicas on this host, with a password and TLS.

The folder then holds cluster.ini, and for TLS ca.pem, issuer.key and the certificate and key of each replica.
Only their owner may read the files.  What to type next is printed.
"""


@click.command("new", Command, help=HELP)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--name", metavar="NAME", help="The name of the cluster.")
@click.option(
    *("--hosts", "hosts_text"),
    metavar="HOSTS",
    help="The host of each replica, with commas between; or a number of replicas, all on this host.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    metavar="PORT",
    help="The first port of the replicas; that for clients is 100 above it, that for the status 200.",
)
@click.option(
    *("--auth/--no-auth", "has_password"),
    default=None,
    help="Whether clients need a password.  It is made, unless --password or EPAXOS_PASSWORD gives one.",
)
@click.option(
    *("--tls/--no-tls", "has_tls"),
    default=None,
    help="Whether replicas prove to each other who they are, by certificates that are made here.",
)
@click.option(
    "--data",
    metavar="FOLDER",
    default="data/{id}",
    show_default=True,
    help="The data folder of each replica; {id} is its number.  Relative to FOLDER.",
)
@click.option("--yes", is_flag=True, help="Ask nothing: take the defaults of what no option says.")
@click.option("--force", is_flag=True, help="Write over files that exist.")
@click.pass_obj
def command(
    settings: Settings,
    folder: Path | None,
    name: str | None,
    hosts_text: str | None,
    port: int | None,
    has_password: bool | None,
    has_tls: bool | None,
    data: str,
    yes: bool,
    force: bool,
) -> None:
    """Ask what no option says, write the files, and say how to go on."""
    ask = _Questions(yes)
    name = ask.text("Name of the cluster", name, NAME_DEFAULT)
    _checked(NAME.read, name, "the name of the cluster")
    hosts_text = ask.text("Hosts of the replicas, or how many on this host", hosts_text, HOSTS_DEFAULT)
    hosts: Sequence[str] = _checked(hosts_in, hosts_text, "the hosts")
    port = int(ask.text("First port", None if port is None else str(port), str(PORT_DEFAULT), int))
    has_password = ask.whether("A password for clients", has_password)
    has_tls = ask.whether("TLS between the replicas", has_tls)
    plan = Plan(name, hosts, port, _password(settings, has_password), has_tls, data)
    try:
        plan.check()
    except ValueError as why:
        raise CtlError(str(why)) from None
    folder = Path(name) if folder is None else folder
    files = {CONFIG: plan.ini().encode()}
    if has_tls:
        need_libraries()
        files.update(certificates(name, hosts))
    _check_config(files[CONFIG])
    write_files(folder, files, force)
    if settings.json:
        print_json(_document(plan, folder, list(files)))
    else:
        for line in _advice(plan, folder):
            click.echo(line)


class _Questions:
    """Asks at the terminal, or takes the defaults."""

    def __init__(self, takes_defaults: bool) -> None:
        self._takes_defaults = takes_defaults

    def text(self, question: str, given: str | None, default: str, kind: type = str) -> str:
        """What an option gave, else the answer.  Raises CtlError when there is nobody to ask."""
        if given is not None:
            return given
        if self._takes_defaults:
            return default
        try:
            return str(click.prompt(question, default=default, type=kind, err=True))
        except click.Abort:
            raise _no_answer(question) from None

    def whether(self, question: str, given: bool | None) -> bool:
        """The same for yes or no; yes is the default."""
        if given is not None:
            return given
        if self._takes_defaults:
            return True
        try:
            return click.confirm(question, default=True, err=True)
        except click.Abort:
            raise _no_answer(question) from None


def _no_answer(question: str) -> CtlError:
    return CtlError(f"no answer to {question!r}, and nothing was written; options answer, or --yes")


def _checked(read: Any, text: str, what: str) -> Any:
    try:
        return read(text)
    except ValueError as why:
        raise CtlError(f"{what}, {text!r}: {why}") from None


def _password(settings: Settings, is_wanted: bool) -> str:
    if not is_wanted:
        return ""
    if not settings.password:
        return secrets.token_hex(PASSWORD_BYTES)
    try:
        return str(PASSWORD.read(settings.password))
    except ValueError as why:
        raise CtlError(f"the password {why}") from None


def _check_config(text: bytes) -> None:
    """Raise CtlError for what only the reader of configurations finds, such as an odd folder of data."""
    import tempfile

    from epaxos.config.file import load
    from epaxos.config.model import ConfigError

    with tempfile.TemporaryDirectory(prefix="epaxosctl-") as folder:
        path = Path(folder) / CONFIG
        path.write_bytes(text)
        try:
            load(path)
        except ConfigError as error:
            raise CtlError(str(error).removeprefix(f"{path}: ")) from None


def _commands(plan: Plan, folder: Path) -> dict[str, list[str]]:
    """What to type next: to check the files, to start each replica, and to see that the cluster serves."""
    config = shlex.quote(str(folder / CONFIG))
    start = [f"twistd -n epaxos --id {site.number} --config {config}" for site in plan.sites]
    see = [f"epaxosctl --at {plan.sites[0].client} {word}" for word in ("wait-ready", "status")]
    if plan.password:
        see.insert(0, f"export EPAXOS_PASSWORD=$(sed -n 's/^requirepass = //p' {config})")
    return {"check": [f"{line} --check" for line in start], "start": start, "see": see}


def _advice(plan: Plan, folder: Path) -> list[str]:
    commands = _commands(plan, folder)
    lines = [f"{folder / CONFIG} describes the cluster {plan.name} of {len(plan.hosts)} replicas."]
    if plan.has_tls:
        lines.append(
            f"The certificates of the replicas are valid for {MEMBER_DAYS} days.  Keep"
            f" {folder / 'issuer.key'} away from the replicas: whoever has it can make a member."
        )
    if not plan.is_local:
        own = ", ca.pem, N.pem and N.key" if plan.has_tls else ""
        lines.append(f"Take {CONFIG}{own} to the host of each replica N, into a folder {folder}.")
        if not plan.password:
            lines.append("Without a password replicas refuse clients of other hosts (protected_mode).")
    where = "each in a terminal of its own" if plan.is_local else "each on its host"
    lines += ["", "To check the files:", *(f"    {line}" for line in commands["check"])]
    lines += ["", f"To start the replicas, {where}:", *(f"    {line}" for line in commands["start"])]
    lines += ["", "To see that they serve:", *(f"    {line}" for line in commands["see"])]
    return lines


def _document(plan: Plan, folder: Path, files: Sequence[str]) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "cluster": plan.name,
        "files": list(files),
        "password": bool(plan.password),
        "tls": plan.has_tls,
        "members": [{"id": site.number, "host": site.host, "client": site.client} for site in plan.sites],
        "commands": _commands(plan, folder),
    }
