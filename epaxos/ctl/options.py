"""The options that every command has.  They may stand before the command, or behind it."""

from __future__ import annotations

from dataclasses import dataclass
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from epaxos.ctl.address import ADDRESS, Address
from epaxos.ctl.connection import Connection
from epaxos.ctl.tls import client_context

__all__ = ["GLOBAL_OPTIONS", "SECONDS", "Command", "Settings"]

AT = Address("127.0.0.1", 7100)
TIMEOUT_S = 10.0
SECONDS_MAX = 86_400.0
"""The longest time that an option can name, in seconds."""


if TYPE_CHECKING:
    _SecondsBase = click.ParamType[float]
else:
    _SecondsBase = click.ParamType  # before click 8.4 it is not generic


class _Seconds(_SecondsBase):
    """A time in seconds, above 0."""

    name = "SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        if not 0 < seconds <= SECONDS_MAX:
            self.fail(f"{value!r} is not above 0 and at most {SECONDS_MAX:_.0f} s", param, ctx)
        return seconds


SECONDS = _Seconds()


@dataclass
class Settings:
    """What the options say."""

    at: Address = AT
    user: str = ""
    password: str = ""
    json: bool = False
    timeout: float = TIMEOUT_S
    tls: bool = False
    cacert: str = ""
    cert: str = ""
    key: str = ""

    def connect(self, address: Address | None = None, timeout_s: float | None = None) -> Connection:
        """A connection to the replica at `address`, by default to that of `--at`.  Raises AskError."""
        return Connection(
            address or self.at,
            self.password,
            timeout_s or self.timeout,
            self._tls() if self.tls else None,
            user=self.user,
        )

    def _tls(self) -> SSLContext:
        """Raises CtlError for files that are of no use."""
        return client_context(self.cacert, self.cert, self.key)


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep the value, unless it is a default that would hide what stands before the command."""
    settings = ctx.ensure_object(Settings)
    name = param.name or ""
    if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
        setattr(settings, name, value)


def _options(hidden: bool) -> list[click.Option]:
    return [
        click.Option(
            ["--at"],
            type=ADDRESS,
            default=str(AT),
            show_default=True,
            help="The client port of a replica, or the path of its Unix socket.",
            **_kept(hidden),
        ),
        click.Option(
            ["--password"],
            envvar=None if hidden else "EPAXOS_PASSWORD",
            show_envvar=True,
            metavar="TEXT",
            help="The password of the cluster.  A list of processes shows it; the environment is safer.",
            **_kept(hidden),
        ),
        click.Option(
            ["--user"],
            envvar=None if hidden else "EPAXOS_USER",
            show_envvar=True,
            metavar="NAME",
            help="The user whose password it is.  [default: the user default]",
            **_kept(hidden),
        ),
        click.Option(["--json"], is_flag=True, help="Print one JSON document.", **_kept(hidden)),
        click.Option(
            ["--timeout"],
            type=SECONDS,
            default=TIMEOUT_S,
            show_default=True,
            help="How long to wait for each answer of a replica.",
            **_kept(hidden),
        ),
        click.Option(
            ["--tls"],
            is_flag=True,
            help="Speak TLS with every replica that is asked, but over a Unix socket.",
            **_kept(hidden),
        ),
        _file("--cacert", "With --tls, the issuers to trust; without it those of the system.", hidden),
        _file("--cert", "With --tls, a certificate to show.", hidden),
        _file("--key", "The private key of --cert, where that file does not have it.", hidden),
    ]


def _file(name: str, text: str, hidden: bool) -> click.Option:
    return click.Option([name], metavar="FILE", help=text, **_kept(hidden))


def _kept(hidden: bool) -> dict[str, Any]:
    return {"callback": _keep, "expose_value": False, "hidden": hidden}


GLOBAL_OPTIONS = _options(hidden=False)
"""Those of the group."""


class Command(click.Command):
    """A command that takes these options as well, but for those that it has itself."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        own = {text for param in self.params for text in param.opts}
        self.params += [option for option in _options(hidden=True) if own.isdisjoint(option.opts)]
