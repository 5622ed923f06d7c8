"""A configuration file for a cluster on one host, made from nothing."""

from __future__ import annotations

__all__ = ["example", "replica_section"]


def example(n: int = 3, base_port: int = 7000, data: str = "../data", transport: str = "tcp") -> str:
    """A configuration file for n replicas on this host, with default settings.

    Replica i has the peer port `base_port` + i, the Redis port 100 above it, the status port 200
    above it, and the data folder `data`/i.
    """
    cluster = "[cluster]\nname = example\n" + ("transport = udp\n" if transport == "udp" else "")
    return "\n".join([cluster, *(replica_section(id, base_port, data, transport) for id in range(n))])


def replica_section(id: int, base_port: int = 7000, data: str = "../data", transport: str = "tcp") -> str:
    """The section of one replica in `example`."""
    port = base_port + id
    return (
        f"[replica {id}]\n"
        f"peer = {transport}:{port}:interface=127.0.0.1\n"
        f"client = tcp:{port + 100}:interface=127.0.0.1\n"
        f"status = tcp:{port + 200}:interface=127.0.0.1\n"
        f"data = {data}/{id}\n"
    )
