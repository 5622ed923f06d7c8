"""The bounds of a replica, from the sections of the configuration."""

from __future__ import annotations

from twisted.logger import Logger

from epaxos.config.model import Config, ConfigError
from epaxos.node.limits import Batching, Keep
from epaxos.resp.limits import RespLimits
from epaxos.service.descriptors import descriptors_for_clients
from epaxos.transport.connection import TcpSettings
from epaxos.transport.udp import UdpSettings

__all__ = ["MEMORY_KEEPS_ALL", "batching", "client_limits", "keep", "tcp_settings", "udp_settings"]

SILENCE_S_MIN = 5.0
SILENCES_SUSPECTED = 5
"""A connection that is silent for this many times suspect_after_s is given up, but not before SILENCE_S_MIN.

After a link was dead, the kernel sends again at longer and longer intervals; a new connection works sooner.
"""

MEMORY_KEEPS_ALL = (
    "engine = memory: while a member is not there, the others keep all that it misses, beyond keep_instances"
    " and keep_bytes, because no epoch begins without it"
)
"""What an operator is told who has chosen that engine."""

_log = Logger()


def batching(config: Config) -> Batching:
    """The bounds of the node."""
    return Batching(
        commands_max=config.batch.commands_max,
        bytes_max=config.batch.bytes_max,
        window=config.batch.window,
        request_timeout_s=config.limits.request_timeout_s,
        checkpoint_s=config.storage.checkpoint_s,
        command_bytes_max=config.limits.command_bytes_max,
    )


def keep(config: Config) -> Keep:
    """What a replica holds before the next epoch begins by itself."""
    return Keep(config.limits.keep_instances, config.limits.keep_bytes)


def client_limits(config: Config, descriptors: int | None) -> RespLimits:
    """The bounds of clients, in a process that may have `descriptors` files and connections open.

    None: no bound is known.  Raises ConfigError when they are too few for a replica.
    """
    limits = config.limits
    clients_max = limits.clients_max
    descriptor_max = None
    if descriptors is not None:
        descriptor_max = descriptors_for_clients(descriptors, config.n)
        if descriptor_max < 1:
            least = descriptors - descriptor_max + 1
            raise ConfigError(
                f"only {descriptors} files may be open (RLIMIT_NOFILE), and a replica needs {least}:"
                " raise LimitNOFILE= or ulimit -n"
            )
        if descriptor_max < clients_max:
            _log.warn(
                "clients_max = {clients_max}, but only {fit} clients fit into the {descriptors} files that"
                " may be open (RLIMIT_NOFILE): more are refused; raise LimitNOFILE= or ulimit -n",
                clients_max=clients_max,
                fit=descriptor_max,
                descriptors=descriptors,
            )
            clients_max = descriptor_max
    return RespLimits(
        clients_max=clients_max,
        command_bytes_max=limits.command_bytes_max,
        clients_bytes_max=limits.clients_bytes_max,
        keepalive_s=limits.client_keepalive_s,
        timeout_s=limits.client_timeout_s,
        descriptor_max=descriptor_max,
    )


def tcp_settings(config: Config) -> TcpSettings:
    """The bounds of the TCP transport."""
    suspect_after_s = config.timing.suspect_after_s
    return TcpSettings(
        queue_bytes_max=config.limits.peer_queue_bytes_max,
        reconnect_max_s=suspect_after_s / 2,
        silence_s=max(SILENCE_S_MIN, SILENCES_SUSPECTED * suspect_after_s),
    )


def udp_settings(config: Config) -> UdpSettings:
    """The bounds of the UDP transport."""
    return UdpSettings(
        datagram_bytes_max=config.limits.datagram_bytes_max,
        heard_within_s=config.timing.suspect_after_s,
    )
