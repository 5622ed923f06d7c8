"""The mutants of rules about the order of a connection (docs: concepts/consistency)."""

from __future__ import annotations

from epaxos.connections.order import Order
from epaxos.verify.mutants.mutation import Edit, Mutant

__all__ = ["CONNECTIONS"]

CONNECTIONS = (
    Mutant(
        "nothing waits for an earlier write",
        "what a connection sends waits until its writes before are answered",
        (
            Edit(
                Order.submit,
                (
                    (
                        "if self.begun is None or (not self._held and self._only_read(self.begun)):",
                        "if True:",
                    ),
                ),
            ),
        ),
        3,
        "streams",
    ),
)
