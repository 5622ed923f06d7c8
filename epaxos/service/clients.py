"""What the ports for clients and for `GET /status` are told of the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from twisted.logger import Logger

from epaxos.config.addresses import server_address
from epaxos.config.endpoints import check_client, check_peer_client
from epaxos.config.model import Config, ConfigError
from epaxos.interfaces import CommandError, CommandInfo
from epaxos.interfaces.access import check_rules, units_of
from epaxos.interfaces.users import Users, first_users
from epaxos.net.door import Door
from epaxos.resp.commands.permission import units_with
from epaxos.resp.commands.table import SERVED
from epaxos.service.passed_sockets import NOTHING_PASSED, Passed, is_on_host_alone

__all__ = ["check_address", "door", "shown_settings", "users_of"]

_log = Logger()


def users_of(config: Config, infos: Iterable[CommandInfo]) -> tuple[Users, bytes]:
    """The first users, and a digest of them.  `infos`: of the commands that the replica runs.

    Raises ConfigError, which shows no password.
    """
    try:
        units = units_with(units_of(infos), SERVED)
        for line in config.users.values():
            check_rules(line.encode().split(), units)
        return first_users(config.users)
    except CommandError as why:
        raise ConfigError(f"{config.path}: [users]: {str(why).removeprefix('ERR ')}") from None


def door(config: Config, id: int, passed: Mapping[str, Passed] = NOTHING_PASSED) -> Door:
    """Who may use the ports of replica `id`.  Without a password, log which of them others can reach.

    `passed`: the sockets that it is given, by the names of its ports.
    """
    security = config.security
    if not security.requirepass:
        for key in ("client", "client_tls", "status"):
            endpoint = getattr(config.replica(id), key)
            if not endpoint or (key == "status" and security.status_token):
                continue
            is_within = is_on_host_alone(passed[key]) if key in passed else _is_within_host(endpoint)
            if not is_within:
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


def check_address(name: str, text: str) -> None:
    """Raise ValueError when `text` is no client endpoint string for this setting of a member."""
    check = check_peer_client if name == "peer_connect" else check_client
    check(text)


def shown_settings(config: Config, id: int) -> dict[str, str]:
    """What `CONFIG GET` says of durability and of who is let in, in Redis' words.  Never the password."""
    endpoint = config.replica(id).client_tls
    tls = server_address(endpoint) if endpoint else None
    keeps = config.storage.engine != "memory"
    return {
        "appendonly": "yes" if keeps else "no",
        "appendfsync": "always" if keeps and config.storage.sync else "no",
        "protected-mode": "yes" if config.security.protected_mode else "no",
        "tls-auth-clients": config.security.tls_auth_clients,
        "tls-port": str((tls and tls.port) or 0),
    }
