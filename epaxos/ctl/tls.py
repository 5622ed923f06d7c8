"""What is needed to speak TLS with a replica."""

from __future__ import annotations

import ssl

from epaxos.ctl.errors import CtlError

__all__ = ["client_context"]


def client_context(cacert: str, cert: str, key: str) -> ssl.SSLContext:
    """Trusts the issuers in the file `cacert` ("": those of the system), and shows the certificate in `cert`
    ("": none), whose key is in `key`, or beside it.  Raises CtlError."""
    if key and not cert:
        raise CtlError("--key goes with --cert")
    context = ssl.create_default_context()
    if cacert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cacert)
        except (OSError, ssl.SSLError) as error:
            raise CtlError(f"--cacert {cacert}: {_why(error, 'it holds no certificate in PEM')}") from None
    if cert:
        try:
            context.load_cert_chain(cert, key or None, password=_nobody)
        except (OSError, ssl.SSLError) as error:
            why = _why(error, "it is no certificate with its key in PEM, not encrypted")
            raise CtlError(f"--cert {cert}: {why}") from None
    return context


def _why(error: OSError, otherwise: str) -> str:
    return otherwise if isinstance(error, ssl.SSLError) or not error.strerror else error.strerror


def _nobody() -> str:
    """Nobody is asked for a passphrase."""
    return ""
