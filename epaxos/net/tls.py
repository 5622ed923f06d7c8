"""What TLS has found out of the other side, and why a connection failed, in words for the log.

Errors of TLS libraries are told apart by their texts alone, so that this module needs no such library: an
ordinary install has none.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = [
    "UNKNOWN_ISSUER",
    "certificate_name",
    "explain_result",
    "explain_tls",
    "shown_certificate",
    "tls_handle",
]

_EXPIRED, _NOT_YET_VALID = 10, 9
"""Results of OpenSSL's verification of a certificate (X509_V_ERR_…)."""
UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
"""Results that say that no trusted issuer has issued the certificate."""

_WORDS = (
    ("did not return a certificate", "it has shown no certificate"),
    ("alert certificate expired", "it refuses our certificate: it has expired"),
    ("alert unknown ca", "it refuses our certificate: unknown issuer"),
    ("alert certificate required", "it wants a certificate, and we have shown none"),
    ("alert bad certificate", "it refuses our certificate"),
    ("alert certificate unknown", "it refuses our certificate"),
    ("alert certificate revoked", "it refuses our certificate: it is revoked"),
    ("alert unsupported certificate", "it refuses our certificate: it is of no use here"),
    ("alert access denied", "it refuses our certificate"),
    ("wrong version number", "it does not speak TLS"),
    ("http request", "it does not speak TLS"),
    ("packet length too long", "it does not speak TLS"),
)
"""Texts of OpenSSL, and what they mean.  An alert is what the other side says of our certificate."""


def tls_handle(transport: Any) -> Any:
    """OpenSSL's connection below the transport, for `explain_tls`; None where there is no TLS."""
    ssl = sys.modules.get("OpenSSL.SSL")
    if ssl is None:
        return None
    try:
        handle = transport.getHandle()
    except AttributeError:  # of a transport that has none, or whose socket is gone
        return None
    return handle if isinstance(handle, ssl.Connection) else None


def shown_certificate(transport: Any) -> Any:
    """The certificate that the other side has shown, once the handshake of TLS is over; None: it has not.

    TLS has found it good by then, because servers of ours that ask for one end the handshake otherwise.
    """
    handle = tls_handle(transport)
    return None if handle is None else handle.get_peer_certificate()


def certificate_name(transport: Any) -> str:
    """The common name (CN) in that certificate; empty where there is not one alone, which can be printed."""
    certificate = shown_certificate(transport)
    if certificate is None:
        return ""
    from cryptography.x509.oid import NameOID

    try:
        subject = certificate.to_cryptography().subject
    except ValueError:
        return ""
    names = [str(name.value) for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return names[0] if len(names) == 1 and names[0].isprintable() else ""


def explain_tls(error: BaseException | None, handle: Any) -> str | None:
    """Why TLS ended the connection; None when it did not.  `handle`: see `tls_handle`."""
    module = type(error).__module__.partition(".")[0]
    if error is None or module not in {"OpenSSL", "service_identity"}:
        return None
    if module == "service_identity":
        return f"its certificate is not for {_name_of(error)}"
    reasons = _reasons(error)
    if any("certificate verify failed" in reason for reason in reasons):
        return _explain_verification(handle)
    for reason in reasons:
        for text, words in _WORDS:
            if text in reason:
                return words
    return f"TLS failed: {', '.join(reasons)}" if reasons else None


def _reasons(error: BaseException) -> list[str]:
    """The reasons in an OpenSSL.SSL.Error, whose argument is a list of (library, function, reason).

    The kinds of that error for the end of the connection below TLS hold no such list.
    """
    found = error.args[0] if error.args else ()
    if not isinstance(found, (list, tuple)):
        return []
    return [str(entry[-1]) for entry in found if isinstance(entry, tuple) and entry and entry[-1]]


def _name_of(error: BaseException) -> str:
    """The name or address that the certificate should have been for."""
    for mismatch in getattr(error, "errors", ()):
        wanted = getattr(mismatch, "mismatched_id", None)
        for field in ("hostname", "ip"):
            name = getattr(wanted, field, None)
            if name is not None:
                return repr(name.decode("ascii", "replace") if isinstance(name, bytes) else str(name))
    return "the name that it should have"


def _explain_verification(handle: Any) -> str:
    """Why the certificate of the other side was not accepted here.

    OpenSSL knows the result, but pyOpenSSL has no public way to ask for it.  Where the private way is
    gone, the text has no reason.
    """
    try:
        ssl: Any = sys.modules["OpenSSL.SSL"]
        result = int(ssl._lib.SSL_get_verify_result(handle._ssl))
        text = ssl._ffi.string(ssl._lib.X509_verify_cert_error_string(result)).decode("ascii", "replace")
    except (AttributeError, KeyError, TypeError):
        return "its certificate is not accepted"
    return f"its certificate {explain_result(result, text)}"


def explain_result(result: int, text: str) -> str:
    """What a result of OpenSSL's verification other than success says of a certificate: a verb and more.

    `text` is what OpenSSL calls it.
    """
    if result == _EXPIRED:
        return "has expired"
    if result == _NOT_YET_VALID:
        return "is not valid yet"
    if result in UNKNOWN_ISSUER:
        return f"has an unknown issuer: {text}"
    return f"is not accepted: {text}"
