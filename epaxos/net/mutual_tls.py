"""TLS on any stream endpoint.

Between replicas it is mutual: each side shows a certificate of a trusted issuer, or there is no connection.
Whose certificate may be shown is for the caller to decide, by its URIs (`peer_uris`); names of hosts do not
count.  Importing this module raises ImportError where pyOpenSSL is not installed.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from epaxos.net.certificates import HasCredentials, uris_in
from epaxos.net.eager_write import push

__all__ = ["TlsDialling", "TlsListening", "peer_uris"]


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _Creator:
    """Makes each connection with the credentials of its moment."""

    def __init__(self, credentials: HasCredentials) -> None:
        self._credentials = credentials

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """See IOpenSSLClientConnectionCreator."""
        return SSL.Connection(self._credentials.current.context)

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """See IOpenSSLServerConnectionCreator."""
        return SSL.Connection(self._credentials.current.context)


class _PromptTls(TLSMemoryBIOProtocol):
    """Sends what is written at once, as `write_promptly` does without TLS.

    What Twisted uses by default keeps it for a turn of the reactor, to gather small writes.
    """

    def write(self, data: bytes) -> None:
        """See ITransport."""
        super().write(data)  # type: ignore[no-untyped-call]
        push(self.transport)


class _TlsFactory(TLSMemoryBIOFactory):
    """Closes a connection for which the wrapped factory makes no protocol; Twisted's own would fail there."""

    protocol = _PromptTls

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See Factory."""
        protocol: IProtocol | None = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else _PromptTls(self, protocol)  # type: ignore[no-untyped-call]


@implementer(IStreamServerEndpoint)
class TlsListening:
    """Listens on `endpoint`, and speaks TLS there."""

    def __init__(self, endpoint: IStreamServerEndpoint, credentials: HasCredentials) -> None:
        self._endpoint = endpoint
        self._creator = _Creator(credentials)

    def listen(self, protocolFactory: Any) -> Any:
        """See IStreamServerEndpoint."""
        return self._endpoint.listen(_TlsFactory(self._creator, False, protocolFactory))


@implementer(IStreamClientEndpoint)
class TlsDialling:
    """Connects to `endpoint`, and speaks TLS there."""

    def __init__(self, endpoint: IStreamClientEndpoint, credentials: HasCredentials) -> None:
        self._endpoint = endpoint
        self._creator = _Creator(credentials)

    def connect(self, protocolFactory: Any) -> Any:
        """See IStreamClientEndpoint."""
        connected = self._endpoint.connect(_TlsFactory(self._creator, True, protocolFactory))
        return connected.addCallback(_within)


def _within(protocol: Any) -> Any:
    """The protocol that speaks within TLS."""
    return protocol.wrappedProtocol


def peer_uris(transport: Any) -> tuple[str, ...]:
    """The URIs in the certificate that the other side has shown, once the handshake of TLS is over.

    None where there is no certificate, or no TLS.
    """
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    if not isinstance(handle, SSL.Connection):
        return ()
    certificate = handle.get_peer_certificate()
    return () if certificate is None else uris_in(certificate)
