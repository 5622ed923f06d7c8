"""How the parts of a running replica follow its configuration: one function for each part.

Each is asked with a whole configuration, and returns what makes its part follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from epaxos.config.model import Config, ConfigError
from epaxos.interfaces.instruments import LatencyMonitor
from epaxos.node.adjusting import Adjusting
from epaxos.resp.server import RespFactory
from epaxos.service.bounds import batching, client_limits, keep
from epaxos.service.descriptors import descriptors_for_clients

__all__ = ["clients_follow", "node_follows", "slow_follows"]


def clients_follow(redis_clients: RespFactory, descriptors: int | None, config: Config) -> Callable[[], None]:
    """The bounds of clients, in a process that may have `descriptors` files and connections open.

    Raises ConfigError for more clients than may be connected, unless the file said so before the start.
    """
    wanted, now = config.limits.clients_max, redis_clients.shared.limits.clients_max
    if descriptors is not None and wanted > now:
        fit = descriptors_for_clients(descriptors, config.n)
        if wanted > fit:
            raise ConfigError(
                f"The operating system is not able to handle the specified number of clients, try with {fit}"
            )
    limits = client_limits(config, descriptors)
    return partial(redis_clients.use_limits, limits)


def node_follows(node: Adjusting, config: Config) -> Callable[[], None]:
    """The bounds of batches, the time that clients wait, and what is kept for members that are away."""
    return partial(node.use_bounds, batching(config), keep(config))


def slow_follows(redis_clients: RespFactory, latency: LatencyMonitor, config: Config) -> Callable[[], None]:
    """What SLOWLOG and LATENCY keep."""
    slow = config.slow

    def follow() -> None:
        latency.set_after_ms(slow.event_ms)
        redis_clients.shared.slow.use(slow.command_us, slow.commands_max)

    return follow
