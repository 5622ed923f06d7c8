"""`[security] peer_tls`: the endpoints of replicas within mutual TLS, and whose certificates are right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.logger import Logger

from epaxos.config.model import Config
from epaxos.net.quiet_log import Complaints
from epaxos.service.endpoints import Dial
from epaxos.transport.handshake import Refused
from epaxos.transport.proof import check_member, member_of

if TYPE_CHECKING:
    from epaxos.net.mutual_tls import Credentials, RenewedCredentials

__all__ = ["PeerEndpoints", "check_peer_tls", "secured"]

_log = Logger()


class PeerEndpoints(NamedTuple):
    """Where a replica listens for the others, how it reaches them, and the URIs by which the other side of a
    connection proves who it is; None: it need not."""

    listen: IStreamServerEndpoint
    dial: Dial
    names_of: Callable[[object], Sequence[str]] | None


def check_peer_tls(config: Config, id: int) -> None:
    """Read the certificates of replica `id`, if it needs any.  Raises ConfigError."""
    if config.security.peer_tls:
        _credentials(config, id, _be_silent, _be_silent)


def secured(
    config: Config,
    id: int,
    listen: IStreamServerEndpoint,
    dial: Dial,
    clock: IReactorTime,
) -> PeerEndpoints:
    """The endpoints of replica `id`: within TLS as the configuration says.  Raises ConfigError."""
    if not config.security.peer_tls:
        return PeerEndpoints(listen, dial, None)
    complaints = Complaints(_log, clock)

    def complain(text: str) -> None:
        complaints.warn("[security]", text)

    def renewed(credentials: Credentials) -> None:
        _log.info(
            "the certificate for replicas was read again: it is valid until {until}",
            until=credentials.valid_until,
        )

    credentials = _credentials(config, id, complain, renewed)
    from epaxos.net.mutual_tls import TlsListening, peer_uris

    _log.info(
        "replicas have to prove who they are; the certificate of this one is valid until {until}",
        until=credentials.current.valid_until,
    )
    return PeerEndpoints(
        TlsListening(listen, credentials), partial(_within_tls, dial, credentials), peer_uris
    )


def _within_tls(
    dial: Dial, credentials: RenewedCredentials, number: int, address: str, is_member: bool
) -> IStreamClientEndpoint:
    from epaxos.net.mutual_tls import TlsDialling

    return TlsDialling(dial(number, address, is_member), credentials)


def _credentials(
    config: Config, id: int, complain: Callable[[str], None], renewed: Callable[[Credentials], None]
) -> RenewedCredentials:
    """The credentials of replica `id`.  Raises ConfigError."""
    try:
        from epaxos.net.mutual_tls import RenewedCredentials, TlsError, TlsFiles
    except ImportError:
        raise config.error(
            "[security] peer_tls = yes: needs the libraries of TLS: pip install 'epaxos[tls]'"
        ) from None
    security = config.security
    files = TlsFiles(
        ca=_path(config, security.ca),
        certificate=_path(config, security.certificate.replace("{id}", str(id))),
        key=_path(config, security.key.replace("{id}", str(id))),
    )

    def check(uris: Sequence[str]) -> None:
        try:
            check_member(member_of(uris, config.cluster.name, "it"), id, "it")
        except Refused as refusal:
            raise ValueError(str(refusal)) from None

    try:
        return RenewedCredentials(files, check, complain, renewed)
    except TlsError as error:
        raise config.error(f"[security] {error.file} = {getattr(files, error.file)}: {error}") from None


def _path(config: Config, text: str) -> Path:
    """A file that the configuration names, as an absolute path."""
    return config.path.absolute().parent / text


def _be_silent(_: object) -> None:
    """Say nothing, where nobody reads a log."""
