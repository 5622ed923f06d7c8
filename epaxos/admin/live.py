"""`GET /live`: what the page at `/` shows, every second, as server-sent events.

See html.spec.whatwg.org, "Server-sent events".  The first event has the last ten minutes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from epaxos.admin.history import FIELDS, History, Sample
from epaxos.admin.last_warnings import LastWarnings
from epaxos.admin.neighbours import MemberPlace, Neighbours
from epaxos.admin.page import TEXT, GuardedPage, StatusDoor, answer
from epaxos.interfaces import IClients

__all__ = ["WATCHERS_MAX", "Live", "Present"]

WATCHERS_MAX = 16
"""The most who look at a time, so that others still get a connection to the status port."""
MISSED_MAX = 30
"""Samples in a row that one who looks may miss.  After that the connection is closed, because it is in the
way of others."""


class Present:
    """What the page shows of this moment, for all who look.

    Others are asked while somebody does.
    """

    def __init__(
        self,
        clients: IClients,
        history: History,
        warnings: LastWarnings,
        neighbours: Neighbours,
        places: Callable[[], Sequence[MemberPlace]],
    ) -> None:
        self._clients = clients
        self.history = history
        self._warnings = warnings
        self._neighbours = neighbours
        self._places = places
        self._watchers: dict[Callable[[bytes], None], None] = {}

    def start(self) -> None:
        """See Upkeep: samples are taken, and warnings kept, for one who looks later."""
        self.history.start()
        self._warnings.start()

    def stop(self) -> None:
        """See Upkeep."""
        self.history.stop()
        self._warnings.stop()
        self._neighbours.stop()

    @property
    def watchers(self) -> int:
        """How many look."""
        return len(self._watchers)

    def look(self, tell: Callable[[bytes], None]) -> None:
        """Call `tell` with everything now, and with an event for each sample from now on."""
        self._watchers[tell] = None
        self.history.on_sample[self._on_sample] = None
        self._neighbours.start()
        tell(_event({"fields": FIELDS, "samples": list(self.history.samples), "now": self.now()}))

    def leave(self, tell: Callable[[bytes], None]) -> None:
        """Call it no more."""
        self._watchers.pop(tell, None)
        if not self._watchers:
            self.history.on_sample.pop(self._on_sample, None)
            self._neighbours.stop()

    def _on_sample(self, sample: Sample) -> None:
        """All who look get the same bytes, because to make them is most of the work."""
        event = _event({"samples": [sample], "now": self.now()})
        for tell in list(self._watchers):
            tell(event)

    def now(self) -> dict[str, Any]:
        """The members and who sees whom, the epoch, the clock, and the last warnings."""
        told: list[dict[str, Any]] = []
        self._clients.status().addCallback(told.append)
        status = told[0]
        up = [member["id"] for member in status["members"] if member["up"]]
        here = status["id"]
        return {
            "replica": here,
            "cluster": status["cluster"],
            "running": status["running"],
            "epoch": status["epoch"],
            "clock": status["clock"],
            "committed": sum(status["committed"]),
            "executed": sum(status["executed"]),
            "members": [
                {
                    "number": place.number,
                    "client": place.client,
                    "up": place.number in up,
                    "sees": up if place.number == here else self._neighbours.sees.get(place.number),
                }
                for place in self._places()
            ],
            "warnings": self._warnings.lines(),
        }


def _event(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


@implementer(IPushProducer)
class _Watcher:
    """One who looks.  Who is slow misses samples, and nothing is kept for it."""

    def __init__(self, request: Request, present: Present) -> None:
        self._request = request
        self._present = present
        self._is_full = False
        self._missed = 0

    def begin(self) -> None:
        """Tell everything, and each sample from now on."""
        self._request.notifyFinish().addBoth(self._end)
        self._request.registerProducer(self, True)
        self._present.look(self._tell)

    def _tell(self, event: bytes) -> None:
        if not self._is_full:
            self._missed = 0
            self._request.write(event)
        elif self._missed < MISSED_MAX:
            self._missed += 1
        else:
            channel: Any = self._request.channel
            channel.forceAbortClient()

    def _end(self, _: Failure | None) -> None:
        self._present.leave(self._tell)

    def pauseProducing(self) -> None:
        """See IPushProducer."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """See IPushProducer."""
        self._is_full = False

    def stopProducing(self) -> None:
        """See IPushProducer: `notifyFinish` tells of the same."""


class Live(GuardedPage):
    """The events."""

    def __init__(self, present: Present, door: StatusDoor) -> None:
        super().__init__(door)
        self._present = present

    def tell(self, request: Request) -> bytes | int:
        """See GuardedPage."""
        if request.method == b"HEAD":
            return answer(request, http.OK, "text/event-stream", b"")
        if self._present.watchers >= WATCHERS_MAX:
            return answer(request, http.SERVICE_UNAVAILABLE, TEXT, f"{WATCHERS_MAX} look already\n")
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-content-type-options", b"nosniff")
        _Watcher(request, self._present).begin()
        return NOT_DONE_YET
