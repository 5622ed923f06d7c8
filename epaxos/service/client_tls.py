"""TLS for those who come from outside the cluster: at the ports `client_tls` and `status`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.logger import Logger

from epaxos.config.model import Config, ConfigError
from epaxos.net.quiet_log import Complaints

if TYPE_CHECKING:
    from epaxos.net.certificates import Credentials, RenewedCredentials, TlsError, TlsFiles

__all__ = ["ClientTls", "check_client_tls"]

_log = Logger()


class ClientTls:
    """The certificates of replica `id` for clients, as far as it has ports that speak TLS.

    Raises ConfigError.  `complain(text)` and `renewed(credentials)`: see RenewedCredentials.
    """

    def __init__(
        self,
        config: Config,
        id: int,
        complain: Callable[[str], None],
        renewed: Callable[[str, Credentials], None],
    ) -> None:
        self._id = id
        self._config = config
        self._credentials: dict[str, RenewedCredentials] = {}
        for key, auth_clients in _ports(config, id).items():
            self._credentials[key] = _credentials(config, id, auth_clients, complain, partial(renewed, key))

    @classmethod
    def logged(cls, config: Config, id: int, clock: IReactorTime) -> ClientTls:
        """Those that tell the log what is read again, and what is wrong then.  Raises ConfigError."""
        complaints = Complaints(_log, clock)

        def renewed(key: str, credentials: Credentials) -> None:
            _log.info(
                "{key} port: the certificate was read again: it is valid until {until}",
                key=key,
                until=credentials.valid_until,
            )

        made = cls(config, id, partial(complaints.warn, "[security]"), renewed)
        for key, credentials in made._credentials.items():
            _log.info(
                "{key} port: the certificate is valid until {until}",
                key=key,
                until=credentials.current.valid_until,
            )
        return made

    def listening(self, key: str, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """The endpoint of the port `key`, within TLS if that port speaks it."""
        if key not in self._credentials:
            return endpoint
        from epaxos.net.mutual_tls import TlsListening

        return TlsListening(endpoint, self._credentials[key])

    def dialling(self, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        """The endpoint of another member's status port, within TLS if this one speaks it.

        That member has to have a certificate of an issuer in tls_ca, and is shown none.  Raises ValueError
        where that file is of no use at this moment.
        """
        if "status" not in self._credentials:
            return endpoint
        from epaxos.net.certificates import TlsError, TrustedIssuers
        from epaxos.net.mutual_tls import TlsDialling

        try:
            return TlsDialling(endpoint, TrustedIssuers(_files(self._config, self._id).ca))
        except TlsError as error:
            raise ValueError(f"tls_ca {error}") from None

    def prepare(self, config: Config) -> Callable[[], None]:
        """Read the files that `config` names.  Raises ConfigError.  What is returned has them used."""
        uses = []
        for key, credentials in self._credentials.items():
            files, auth_clients = _files(config, self._id), _auth_clients(config, key)
            from epaxos.net.certificates import TlsError, read_server_credentials

            try:
                read = partial(read_server_credentials, auth_clients=auth_clients)
                uses.append(credentials.prepare(files, read))
            except TlsError as error:
                raise _wrong(config, files, error) from None

        def use() -> None:
            self._config = config
            for each in uses:
                each()

        return use


def check_client_tls(config: Config, id: int) -> None:
    """Read the certificates of replica `id` for clients, if it needs any.  Raises ConfigError."""
    ClientTls(config, id, lambda text: None, lambda key, credentials: None)


def _ports(config: Config, id: int) -> dict[str, str]:
    """The ports of the replica that speak TLS, and whether their clients have to show certificates."""
    replica = config.replica(id)
    speak = {"client_tls": replica.client_tls, "status": config.security.status_tls and replica.status}
    return {key: _auth_clients(config, key) for key, speaks in speak.items() if speaks}


def _auth_clients(config: Config, key: str) -> str:
    """At the status port a certificate is one of several proofs, and /healthz needs none."""
    return "optional" if key == "status" else config.security.tls_auth_clients


def _files(config: Config, id: int) -> TlsFiles:
    from epaxos.net.certificates import TlsFiles

    security, folder = config.security, config.path.absolute().parent
    return TlsFiles(
        ca=folder / security.tls_ca,
        certificate=folder / security.tls_certificate.replace("{id}", str(id)),
        key=folder / security.tls_key.replace("{id}", str(id)),
    )


def _credentials(
    config: Config,
    id: int,
    auth_clients: str,
    complain: Callable[[str], None],
    renewed: Callable[[Credentials], None],
) -> RenewedCredentials:
    """Raises ConfigError."""
    try:
        from epaxos.net.certificates import (
            RenewedCredentials,
            TlsError,
            accept_any,
            read_server_credentials,
        )
    except ImportError:
        raise config.error(
            "client_tls and [security] status_tls: need the libraries of TLS: pip install 'epaxos[tls]'"
        ) from None
    files = _files(config, id)
    read = partial(read_server_credentials, auth_clients=auth_clients)
    try:
        return RenewedCredentials(files, accept_any, complain, renewed, read)
    except TlsError as error:
        raise _wrong(config, files, error) from None


def _wrong(config: Config, files: TlsFiles, error: TlsError) -> ConfigError:
    return config.error(f"[security] tls_{error.file} = {getattr(files, error.file)}: {error}")
