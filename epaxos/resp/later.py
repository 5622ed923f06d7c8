"""Replies that come later: of the few commands that a connection answers itself, but not at once."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from epaxos.interfaces import CommandError, Outcome, Reply, Unavailable
from epaxos.resp.pipeline import Pipeline
from epaxos.resp.span import Span

__all__ = ["Later"]

_log = Logger()


class Later:
    """The replies that one connection waits for; commands behind them run meanwhile, and are answered after.

    `waiting` holds those of all connections, so that somebody can bound their number.
    """

    def __init__(self, pipeline: Pipeline, waiting: set[Deferred[Any]]) -> None:
        self._pipeline = pipeline
        self._waiting = waiting
        self._own: dict[Deferred[Any], None] = {}  # in order
        self._is_over = False

    def expect(self, reply: Deferred[Reply], is_wanted: bool) -> None:
        """The next reply is what `reply` fires with; nobody gets it unless `is_wanted`.

        The client is told why it failed when that is a CommandError or Unavailable; anything else is logged.
        """
        span = self._pipeline.expect_later() if is_wanted else None
        self._own[reply] = None
        self._waiting.add(reply)
        outcome: Deferred[Outcome] = reply.addCallbacks(_outcome_of, _explain)
        outcome.addCallback(self._on_outcome, reply, span)

    def _on_outcome(self, outcome: Outcome, reply: Deferred[Any], span: Span | None) -> None:
        self._own.pop(reply, None)
        self._waiting.discard(reply)
        if span is not None and not self._is_over:
            self._pipeline.on_outcome(span, outcome)

    def drop(self) -> None:
        """The connection ends: cancel what it waits for."""
        self._is_over = True
        for reply in list(self._own):
            reply.cancel()


def _outcome_of(reply: Reply) -> Outcome:
    return [reply]


def _explain(failure: Failure) -> Outcome:
    error = failure.value
    if isinstance(error, (CommandError, Unavailable)):
        error.__traceback__ = None
        return error if isinstance(error, Unavailable) else [error]
    if not isinstance(error, CancelledError):
        _log.failure("a command of a client has failed", failure)
    return [CommandError("ERR the command has failed, see the log of the replica")]
