"""Commands of one client that cannot all be handed to the replica as they are.

The sorter looks at each command: the replica runs some, the connection answers the others itself, all in
the order in which they came.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.resp.commands.spec import Handler
from epaxos.resp.commands.table import full_name, handler_of
from epaxos.resp.encoder import encode_reply
from epaxos.resp.hiredis_parser import RespError
from epaxos.resp.interfaces import IClientConnection
from epaxos.resp.later import Later
from epaxos.resp.pipeline import Pipeline
from epaxos.resp.session import Session, Silence
from epaxos.resp.shared import Shared

__all__ = ["Sorter"]

ANSWERS_FACTOR_MAX = 2
"""A client is cut off when it asks for more than this multiple of `pipeline_bytes_max` in one slice of input.

Only what a connection answers by itself counts, because it is encoded at once: `CLIENT LIST`, say.  Long
replies of the replica do not count.
"""
SORTING_S = 0.005
"""About the seconds of sorting for one client until other work runs."""


class Sorter:
    """Sorts the commands of one connection.

    The connection hands itself in with each call, so that neither keeps the other in memory.
    """

    def __init__(self, server: Shared, session: Session, pipeline: Pipeline) -> None:
        self._server = server
        self._session = session
        self._pipeline = pipeline
        self._answered_bytes = 0  # in reply to one slice of input
        self._answered_bytes_max = ANSWERS_FACTOR_MAX * server.limits.pipeline_bytes_max
        self._postponed: list[list[bytes]] = []
        self._postponed_error: RespError | None = None
        self._later = Later(pipeline, server.waiting)
        self.is_plain = session.is_plain
        """Whether a slice of input with valid commands only may go to the replica unsorted."""

    @property
    def is_behind(self) -> bool:
        """Whether commands are postponed to the next turn of the event loop."""
        return bool(self._postponed)

    def sort(self, connection: IClientConnection, commands: list[list[bytes]], size_bytes: int) -> None:
        """Run these commands, one or more, of `size_bytes` bytes, after those that are postponed."""
        if self._postponed:
            self._postponed += commands
            return
        self._pipeline.was_active = True  # also where nothing is answered
        self._answered_bytes = 0
        self._sort(connection, commands, size_bytes)
        self._pipeline.flush()
        self._pipeline.regulate()

    def postpone_error(self, error: RespError) -> None:
        """What came after the postponed commands is no command: refuse it after them."""
        self._postponed_error = error

    def drop(self) -> None:
        """The connection ends: forget what is postponed, and what comes later."""
        self._later.drop()
        self._postponed.clear()
        self._pipeline.is_held_up = False

    def _sort(self, connection: IClientConnection, commands: list[list[bytes]], size_bytes: int) -> None:
        """Submit what the replica can run, answer the rest here, in order; postpone what takes too long."""
        session, pipeline, seconds = self._session, self._pipeline, self._server.seconds
        share = size_bytes // len(commands) + 1
        run: list[list[bytes]] = []
        ends_s = seconds() + SORTING_S
        for number, command in enumerate(commands, 1):
            handler = handler_of(session, command)
            error = self._check(command) if handler is None else None
            is_run = handler is None and error is None
            if is_run:
                run.append(command)
                if session.silence is not Silence.NOW:
                    continue
            if run:
                pipeline.submit(run, share * len(run))
                run = []
            if not is_run and not self._answer(connection, command, handler or error):
                return
            session.on_command_over()
            self.is_plain = session.is_plain
            if self._answered_bytes > self._answered_bytes_max:
                connection.cut_off("its commands ask for too much at a time")
            if pipeline.is_leaving:
                return
            if seconds() >= ends_s and number < len(commands):
                self._postpone(connection, commands[number:], share)
                return
        if run:
            pipeline.submit(run, share * len(run))

    def _check(self, command: Command) -> CommandError | None:
        """Why the replica cannot run the command; None when it can."""
        try:
            self._server.replica.check(command)
        except CommandError as error:
            return error.with_traceback(None)  # the traceback leads here, and so to the error itself
        return None

    def _answer(
        self, connection: IClientConnection, command: Command, how: Handler | CommandError | None
    ) -> bool:
        """Answer a command here, by its handler or with its error.  False when the connection is gone."""
        if callable(how):
            self._session.last_name = full_name(command)
            self._server.traffic.commands_processed += 1
            answer = how(connection, command)
            if self._pipeline.is_gone:
                return False
            if isinstance(answer, Deferred):
                self._later.expect(answer, self._session.silence is Silence.NONE)
                return True
            reply: Reply = answer
        else:
            reply = how
        if self._session.silence is Silence.NONE:
            output = encode_reply(reply, self._session.resp)
            self._answered_bytes += len(output)
            self._pipeline.answer(output)
        return True

    def _postpone(self, connection: IClientConnection, commands: list[list[bytes]], share: int) -> None:
        self._postponed = commands
        self._pipeline.is_held_up = True
        self.is_plain = False
        self._server.clock.callLater(0, self._go_on, connection, share * len(commands))

    def _go_on(self, connection: IClientConnection, size_bytes: int) -> None:
        """Sort what was postponed, in a turn of its own."""
        pipeline = self._pipeline
        commands, self._postponed = self._postponed, []
        pipeline.is_held_up = False
        if pipeline.is_leaving:
            return
        pipeline.regulate()
        self._sort(connection, commands, size_bytes)
        if not self._postponed:
            if self._postponed_error is not None and not pipeline.is_leaving:
                connection.refuse(self._postponed_error)
            if pipeline.hears_no_more:
                connection.leave()
        pipeline.flush()
        pipeline.regulate()
