"""`/healthz` and `/readyz`, for whatever starts replicas and sends clients to them.

They say nothing of the state, so they are open to everybody who reaches the port.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web import http
from twisted.web.server import Request

from epaxos.admin.page import TEXT, Page, answer
from epaxos.interfaces import IClients

__all__ = ["Health", "Readiness", "why_not_ready"]


class Health(Page):
    """The process lives: its event loop answers."""

    def show(self, request: Request) -> bytes:
        return answer(request, http.OK, TEXT, "ok\n")


class Readiness(Page):
    """The replica serves clients now."""

    def __init__(self, clients: IClients) -> None:
        super().__init__()
        self._clients = clients

    def show(self, request: Request) -> bytes:
        told: list[dict[str, Any]] = []
        status: Deferred[dict[str, Any]] = self._clients.status()
        status.addCallback(told.append)
        why = why_not_ready(told[0]) if told else "the replica does not say its status"
        if why:
            return answer(request, http.SERVICE_UNAVAILABLE, TEXT, why + "\n")
        return answer(request, http.OK, TEXT, "ok\n")


def why_not_ready(status: dict[str, Any]) -> str:
    """Why the replica of this status (`GET /status`) serves no clients; empty when it does."""
    if not status["running"]:
        return "the replica starts or stops"
    if status["epoch"]["behind"] is not None:
        return "the replica is behind: it takes the state of another member"
    members = status["members"]
    if status["id"] not in [member["id"] for member in members]:
        return "the replica is not a member"
    up = sum(member["up"] for member in members)
    if 2 * up <= len(members):
        return f"only {up} of {len(members)} members are up as seen from here"
    return ""
