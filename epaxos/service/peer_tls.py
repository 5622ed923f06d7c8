"""`[security] peer_tls`: the endpoints of replicas within mutual TLS, and whose certificates are right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.logger import Logger

from epaxos.config.model import Config, ConfigError
from epaxos.net.quiet_log import Complaints
from epaxos.service.endpoints import Dial
from epaxos.transport.handshake import Refused
from epaxos.transport.proof import check_member, member_of

if TYPE_CHECKING:
    from epaxos.net.certificates import Credentials, RenewedCredentials, TlsError, TlsFiles

__all__ = ["PeerEndpoints", "certificate_ends", "check_peer_tls", "no_certificates", "secured"]

_log = Logger()


class PeerEndpoints(NamedTuple):
    """Where a replica listens for the others, how it reaches them, and the URIs by which the other side of a
    connection proves who it is; None: it need not.  `reload`: see Reloads."""

    listen: IStreamServerEndpoint
    dial: Dial
    names_of: Callable[[object], Sequence[str]] | None
    reload: Callable[[Config], Callable[[], None]]


def check_peer_tls(config: Config, id: int) -> None:
    """Read the certificates of replica `id`, if it needs any.  Raises ConfigError."""
    if config.security.peer_tls:
        _credentials(config, id, _be_silent, _be_silent)


def certificate_ends(config: Config, id: int) -> tuple[int | None, int | None]:
    """When the certificate of replica `id`, and the first one of its issuers, cease to be valid, in seconds
    since 1970, by what the files say now.

    None where a file cannot be read, and without peer_tls.
    """
    if not config.security.peer_tls:
        return None, None
    from epaxos.net.certificates import certificates_end

    files = _files(config, id)
    return certificates_end(files.certificate), certificates_end(files.ca)


def secured(
    config: Config,
    id: int,
    listen: IStreamServerEndpoint,
    dial: Dial,
    clock: IReactorTime,
) -> PeerEndpoints:
    """The endpoints of replica `id`: within TLS as the configuration says.  Raises ConfigError."""
    if not config.security.peer_tls:
        return PeerEndpoints(listen, dial, None, no_certificates)
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
        TlsListening(listen, credentials),
        partial(_within_tls, dial, credentials),
        peer_uris,
        partial(_prepare, credentials, id),
    )


def no_certificates(config: Config) -> Callable[[], None]:
    """See Reloads: there is nothing to read."""
    return _nothing


def _nothing() -> None:
    """Change nothing."""


def _prepare(credentials: RenewedCredentials, id: int, config: Config) -> Callable[[], None]:
    """See Reloads."""
    from epaxos.net.certificates import TlsError

    files = _files(config, id)
    try:
        return credentials.prepare(files)
    except TlsError as error:
        raise _wrong(config, files, error) from None


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
        from epaxos.net.certificates import RenewedCredentials, TlsError
    except ImportError:
        raise config.error(
            "[security] peer_tls = yes: needs the libraries of TLS: pip install 'epaxos[tls]'"
        ) from None
    files = _files(config, id)

    def check(uris: Sequence[str]) -> None:
        try:
            check_member(member_of(uris, config.cluster.name, "it"), id, "it")
        except Refused as refusal:
            raise ValueError(str(refusal)) from None

    try:
        return RenewedCredentials(files, check, complain, renewed)
    except TlsError as error:
        raise _wrong(config, files, error) from None


def _files(config: Config, id: int) -> TlsFiles:
    from epaxos.net.certificates import TlsFiles

    security = config.security
    return TlsFiles(
        ca=_path(config, security.ca),
        certificate=_path(config, security.certificate.replace("{id}", str(id))),
        key=_path(config, security.key.replace("{id}", str(id))),
    )


def _wrong(config: Config, files: TlsFiles, error: TlsError) -> ConfigError:
    return config.error(f"[security] {error.file} = {getattr(files, error.file)}: {error}")


def _path(config: Config, text: str) -> Path:
    """A file that the configuration names, as an absolute path."""
    return config.path.absolute().parent / text


def _be_silent(_: object) -> None:
    """Say nothing, where nobody reads a log."""
