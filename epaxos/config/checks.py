"""Checks that the settings of a configuration, each of them valid, fit together."""

from __future__ import annotations

from pathlib import Path

from epaxos.config.addresses import Address, host_of, server_address
from epaxos.config.endpoints import is_tls, udp_client, udp_server
from epaxos.config.model import Config
from epaxos.config.settings import ReplicaConfig
from epaxos.protocol.values.membership import ADDRESS_BYTES_MAX, is_writable

__all__ = ["check"]


def check(config: Config) -> None:
    """Raise ConfigError for settings that contradict each other."""
    _check_timing(config)
    _check_addresses(config)
    _check_apart(config)
    if config.cluster.transport == "udp":
        _check_families(config)
    if config.security.peer_tls:
        _check_peer_tls(config)
    _check_client_tls(config)


def _check_timing(config: Config) -> None:
    timing = config.timing
    if timing.suspect_after_s <= 2 * timing.heartbeat_s:
        raise config.error(
            f"[timing] suspect_after_s = {timing.suspect_after_s:g}: must be more than twice"
            f" heartbeat_s = {timing.heartbeat_s:g}"
        )


def _check_addresses(config: Config) -> None:
    """Raise ConfigError for an address that no list of members can hold."""
    for replica in config.replicas:
        for key in ("peer_connect", "client_connect", "status_connect"):
            text = getattr(replica, key)
            if not is_writable(text, ADDRESS_BYTES_MAX):
                raise config.error(
                    f"[replica {replica.id}] {key} = {text}: is longer than {ADDRESS_BYTES_MAX} bytes, or not"
                    " printable"
                )


def _check_apart(config: Config) -> None:
    """Raise ConfigError when replicas of one host listen on one address or share a folder."""
    _check_connects(config)
    _check_listening(config)
    folders: dict[tuple[str, Path], str] = {}
    for replica in config.replicas:
        section = f"[replica {replica.id}]"
        first = folders.setdefault((host_of(replica.peer_connect), replica.data), section)
        if first != section:
            raise config.error(f"{section} data = {replica.data}: is the folder of {first} too")


def _check_connects(config: Config) -> None:
    connects: dict[str, str] = {}
    for replica in config.replicas:
        section = f"[replica {replica.id}]"
        first = connects.setdefault(replica.peer_connect, section)
        if first != section:
            raise config.error(f"{section} peer_connect = {replica.peer_connect}: is that of {first} too")


def _check_listening(config: Config) -> None:
    listening: list[tuple[str, str, Address]] = []
    for replica in config.replicas:
        host = host_of(replica.peer_connect)
        for key in ("peer", "client", "client_tls", "status"):
            text = getattr(replica, key)
            address = server_address(text) if text else None
            if address is None:
                continue
            for other, other_host, taken in listening:
                if host == other_host and address.overlaps(taken):
                    where = f"[replica {replica.id}] {key} = {text}"
                    raise config.error(f"{where}: {address} is taken by {other}")
            listening.append((f"[replica {replica.id}] {key}", host, address))


def _check_peer_tls(config: Config) -> None:
    """Raise ConfigError where peer_tls cannot hold: over UDP, and within TLS of an endpoint."""
    if config.cluster.transport == "udp":
        raise config.error("[security] peer_tls = yes: is not for transport = udp, which proves nobody")
    for replica in config.replicas:
        for key in ("peer", "peer_connect"):
            text = getattr(replica, key)
            if is_tls(text):
                raise config.error(
                    f"[replica {replica.id}] {key} = {text}: speaks TLS by itself, which asks for no"
                    " certificate of those that dial; with [security] peer_tls = yes give an endpoint"
                    " without TLS, such as tcp:"
                )


def _check_client_tls(config: Config) -> None:
    """Raise ConfigError for an endpoint that would speak TLS within TLS."""
    for replica in config.replicas:
        for key, is_within in (("client_tls", True), ("status", config.security.status_tls)):
            text = getattr(replica, key)
            if text and is_within and is_tls(text):
                why = " with [security] status_tls = yes" if key == "status" else ""
                raise config.error(
                    f"[replica {replica.id}] {key} = {text}: speaks TLS by itself;{why} give an endpoint"
                    " without TLS, such as tcp:"
                )


def _check_families(config: Config) -> None:
    """Raise ConfigError unless all addresses are of one family, because a UDP socket has one."""
    families = {is_v6: replica for replica in config.replicas for is_v6 in _families(replica)}
    if len(families) == 2:
        old, new = families[False], families[True]
        raise config.error(
            f"[replica {new.id}] peer_connect = {new.peer_connect}: is of IPv6, and"
            f" [replica {old.id}] of IPv4; give all peers addresses of one kind, and an interface of it"
        )


def _families(replica: ReplicaConfig) -> set[bool]:
    """Whether its addresses are of IPv6: that on which it listens (no address counts as IPv4), and that
    at which it is reached."""
    return {":" in udp_server(replica.peer).host, ":" in udp_client(replica.peer_connect).host}
