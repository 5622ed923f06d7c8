"""`epaxosctl import`: the keys of a Redis server, into the running cluster."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from epaxos.ctl.connection import Connection
from epaxos.ctl.errors import AskError, CtlError
from epaxos.ctl.importing.copying import Existing, Importing, ImportRefused
from epaxos.ctl.importing.journal import Journal, JournalError
from epaxos.ctl.importing.source import Source, SourceUrl, parse_url
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import print_fields, print_json, progress

__all__ = ["command"]

HELP = """
Copy the keys of a Redis server into the cluster, with their values and the time that they still live.

Clients of the cluster and of the source go on; what they change at the source meanwhile may be missing.  The
keys go into the database of the same number.  When the import was interrupted, the same command goes on where
it was: the journal says where, and which keys the import has written itself.
"""


if TYPE_CHECKING:
    _UrlBase = click.ParamType[SourceUrl]
else:
    _UrlBase = click.ParamType  # before click 8.4 it is not generic


class _UrlType(_UrlBase):
    """The URL of a Redis server as a parameter of the command line."""

    name = "URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> SourceUrl:
        if isinstance(value, SourceUrl):
            return value
        try:
            return parse_url(value)
        except ValueError as why:
            self.fail(str(why), param, ctx)


@click.command("import", Command, help=HELP)
@click.option(
    "--from",
    "url",
    type=_UrlType(),
    required=True,
    help="redis://[user][:password]@host[:port][/database]; rediss: TLS.",
)
@click.option(
    "--source-password",
    envvar="EPAXOS_SOURCE_PASSWORD",
    show_envvar=True,
    metavar="TEXT",
    help="The password of the source, where the URL has none.",
)
@click.option("--replace", is_flag=True, help="A key that exists already gets the value of the source.")
@click.option("--skip", is_flag=True, help="A key that exists already stays as it is.")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Certificates to trust for rediss:// (PEM).  [default: those of this host]",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What was done already.  [default: import-HOST-PORT-DATABASE.journal]",
)
@click.pass_obj
def command(
    settings: Settings,
    url: SourceUrl,
    source_password: str | None,
    replace: bool,
    skip: bool,
    ca: Path | None,
    journal: Path | None,
) -> None:
    """Import everything, and say how much it was."""
    if replace and skip:
        raise click.UsageError("--replace and --skip exclude each other")
    existing = Existing.REPLACE if replace else Existing.SKIP if skip else Existing.STOP
    if source_password and not url.password:
        url = url._replace(password=source_password)
    path = journal or Path(f"import-{url.address.host}-{url.address.port}-{url.database}.journal")
    try:
        done = _import(settings, url, ca, path, existing)
    except (ImportRefused, JournalError) as error:
        raise CtlError(str(error)) from None
    except ssl.SSLError as error:
        raise CtlError(f"{ca}: {error.reason or error}") from None
    except AskError as error:
        raise CtlError(f"{error}; the same command goes on where it was") from None
    except OSError as error:
        raise CtlError(f"{error.filename or path}: {error.strerror}") from None
    _print(settings, url, done)


def _import(settings: Settings, url: SourceUrl, ca: Path | None, path: Path, existing: Existing) -> Importing:
    with (
        progress(f"waiting for {url}") as say,
        Source(url, ca, settings.timeout) as source,
        settings.connect() as replica,
    ):
        what = {"from": str(url), "to": _name_of(replica), "existing": existing.value}
        if url.database:
            replica.ask("SELECT", str(url.database))
        with Journal(path, what, source.run_id()) as journal:
            importing = Importing(source, replica, journal, existing, say)
            importing.run()
        journal.remove()
    return importing


def _name_of(replica: Connection) -> str:
    """The name of the cluster; any of its members may go on with an import."""
    setting: Sequence[bytes] = replica.ask("CONFIG", "GET", "cluster.name")
    return b"".join(setting[1:2]).decode(errors="replace")


def _print(settings: Settings, url: SourceUrl, done: Importing) -> None:
    if settings.json:
        document = {
            "from": str(url),
            "at": str(settings.at),
            "written": done.written,
            "skipped": done.skipped,
        }
        print_json(document)
        return
    print_fields(
        [
            ("from", str(url)),
            ("to", str(settings.at)),
            ("written", str(done.written)),
            ("skipped", str(done.skipped)),
        ]
    )
