"""The name by which state machines of others imported `Batch` before it was in `epaxos.interfaces`."""

from epaxos.protocol.values.messages import Batch

__all__ = ["Batch"]
