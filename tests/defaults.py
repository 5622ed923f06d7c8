"""The bounds of the parts of a replica under default settings, for tests that build a part alone.

Only `epaxos/config/settings.py` has the defaults, so the parts themselves have none.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from epaxos.config.model import Config
from epaxos.config.settings import Batch, Cluster, Limits, Log, Security, Storage
from epaxos.node.limits import Batching
from epaxos.protocol.values.timing import Timing
from epaxos.resp.limits import RespLimits
from epaxos.service import bounds
from epaxos.transport.connection import TcpSettings
from epaxos.transport.udp import UdpSettings

__all__ = ["default_batching", "default_limits", "default_tcp", "default_udp"]

CONFIG = Config(
    Path("nowhere"), Cluster("tests"), Timing(), Batch(), Limits(), Storage(), Security(), Log(), {}, ()
)


def default_batching(**changes: Any) -> Batching:
    """The bounds of a node."""
    return replace(bounds.batching(CONFIG), **changes)


def default_limits(**changes: Any) -> RespLimits:
    """The bounds of clients."""
    return replace(bounds.client_limits(CONFIG, None), **changes)


def default_tcp(**changes: Any) -> TcpSettings:
    """The bounds of the TCP transport."""
    return TcpSettings(**{"queue_bytes_max": Limits().peer_queue_bytes_max, **changes})


def default_udp(**changes: Any) -> UdpSettings:
    """The bounds of the UDP transport."""
    return UdpSettings(**{"datagram_bytes_max": Limits().datagram_bytes_max, **changes})
