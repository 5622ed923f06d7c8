"""Who may use a port: clients of this host alone, those that know the password, or everybody."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

__all__ = ["Door", "Secret", "is_local"]


class Secret:
    """A text that somebody has to know, which may be changed; empty: nobody can know it."""

    def __init__(self, text: str = "") -> None:
        self.change(text)

    def change(self, text: str) -> None:
        """From now on it is this one."""
        self.is_set = bool(text)
        self._digest = sha256(text.encode()).digest()

    def is_known_by(self, given: bytes) -> bool:
        """Whether `given` is the secret.

        The time that this takes depends on the length of `given` alone, because only digests are compared.
        """
        return compare_digest(sha256(given).digest(), self._digest) and self.is_set


class Door:
    """The rule of one port.

    `password`: what every client has to give; empty: none.  `is_protected`: without a password, only clients
    of this host are let in.
    """

    def __init__(self, password: str = "", *, is_protected: bool = False) -> None:
        self.has_password = bool(password)
        self.is_for_this_host = is_protected and not password
        """Whether every client from elsewhere is refused."""
        self._password = Secret(password)

    def opens_to(self, password: bytes) -> bool:
        """Whether `password` is the right one; see Secret."""
        return self._password.is_known_by(password)


def is_local(address: IAddress | None) -> bool:
    """Whether a client with this address is on this host: it came by loopback or a Unix socket.

    False where the address does not say it.
    """
    if isinstance(address, UNIXAddress):
        return True
    try:
        host = ip_address(getattr(address, "host", ""))
    except ValueError:
        return False
    if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
        return host.ipv4_mapped.is_loopback
    return host.is_loopback
