"""What the ports for clients and for `GET /status` are told of the configuration."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.logger import Logger

from epaxos.config.addresses import server_address
from epaxos.config.model import Config
from epaxos.net.door import Door

__all__ = ["door", "shown_settings"]

_log = Logger()


def door(config: Config, id: int) -> Door:
    """Who may use the ports of replica `id`.  Without a password, log which of them others can reach."""
    security = config.security
    if not security.requirepass:
        for key in ("client", "status"):
            endpoint = getattr(config.replica(id), key)
            if endpoint and not _is_within_host(endpoint):
                _warn(key, endpoint, security.protected_mode)
    return Door(security.requirepass, is_protected=security.protected_mode)


def _warn(key: str, endpoint: str, is_protected: bool) -> None:
    if is_protected:
        text = (
            "{key} port {endpoint}: protected mode refuses clients that are not on this host, because no"
            " password is set: set requirepass, or protected_mode = no, in [security]"
        )
    else:
        text = (
            "{key} port {endpoint}: whoever reaches it is served, because [security] has protected_mode = no"
            " and no requirepass"
        )
    _log.warn(text, key=key, endpoint=endpoint)


def _is_within_host(endpoint: str) -> bool:
    """Whether only this host can reach the server endpoint, as far as its text says."""
    address = server_address(endpoint)
    if address is None:
        return False
    if address.port is None:
        return True
    try:
        return ip_address(address.interface).is_loopback
    except ValueError:
        return address.interface == "localhost"


def shown_settings(config: Config) -> dict[str, str]:
    """What `CONFIG GET` says of durability and of protected mode, in Redis' words.  Never the password."""
    keeps = config.storage.engine != "memory"
    return {
        "appendonly": "yes" if keeps else "no",
        "appendfsync": "always" if keeps and config.storage.sync else "no",
        "protected-mode": "yes" if config.security.protected_mode else "no",
    }
