"""Commands of one client that cannot all be handed to the replica as they are.

The sorter looks at each command: the replica runs some, the connection answers the others itself, all in
the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred

from epaxos.connections.blocking import Done, Wish
from epaxos.connections.order import COMMANDS_TOGETHER
from epaxos.interfaces import Command, CommandError, Outcome, Reply, Unavailable
from epaxos.resp.commands.monitor import show
from epaxos.resp.commands.permission import with_rights
from epaxos.resp.commands.placing import inside_of, placed
from epaxos.resp.commands.run import ByReplica, Waits
from epaxos.resp.commands.spec import Answer, Handler
from epaxos.resp.commands.table import SERVED, full_name, handler_of, is_refusal
from epaxos.resp.commands.transactions import may_wait
from epaxos.resp.encoder import Push, Several, encode_reply
from epaxos.resp.hiredis_parser import RespError
from epaxos.resp.interfaces import IClientConnection
from epaxos.resp.later import Later
from epaxos.resp.pipeline import Pipeline
from epaxos.resp.session import Session, Silence
from epaxos.resp.shared import Shared
from epaxos.resp.span import Span
from epaxos.resp.statistics import is_counted_later
from epaxos.resp.together import Together

__all__ = ["Sorter"]

ANSWERS_FACTOR_MAX = 2
"""A client is cut off when it asks for more than this multiple of `pipeline_bytes_max` in one slice of input.

Only what a connection answers by itself counts, because it is encoded at once: `CLIENT LIST`, say.  Long
replies of the replica do not count.
"""
HEARD_BYTES_MAX = 16_384
"""About the bytes of commands that are kept of a client that waits.  With more it is not listened to, and its
end is not noticed."""
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
        self._together = Together()
        self._is_holding = False  # until what the replica runs now is answered
        self._heard_bytes = 0  # behind the command for which the client waits
        self.is_waiting = False
        """Whether the client waits for elements: see `Blocked`."""
        self._is_paused = False  # what is postponed waits for the end of a pause
        self._share = 0
        self._later = Later(pipeline, server.waiting)
        self.is_plain = session.is_plain and not server.pause.is_on
        """Whether a slice of input with valid commands only may go to the replica unsorted."""

    @property
    def is_behind(self) -> bool:
        """Whether commands are postponed to a later turn of the event loop."""
        return bool(self._postponed) or self._is_holding

    @property
    def awaits_error(self) -> bool:
        """Whether the connection ends behind the postponed commands, so that nothing more is heard."""
        return self._postponed_error is not None

    def sort(self, connection: IClientConnection, commands: list[list[bytes]], size_bytes: int) -> None:
        """Run these commands, one or more, of `size_bytes` bytes, after those that are postponed."""
        if self.is_behind:
            self._postponed += commands
            self._heard_bytes += size_bytes
            if self.is_waiting and self._heard_bytes > HEARD_BYTES_MAX:
                self._pipeline.is_held_up = True
                self._pipeline.regulate()
            return
        if self._are_allowed(commands):
            self._pipeline.submit(commands, size_bytes)
            return
        self._pipeline.was_active = True  # also where nothing is answered
        self._answered_bytes = 0
        self._sort(connection, commands, size_bytes)
        self._pipeline.flush()
        self._pipeline.regulate()

    def _are_allowed(self, commands: list[list[bytes]]) -> bool:
        """Whether a user with bounds sends usual commands only, and may run all of them."""
        session, server = self._session, self._server
        return (
            session.access is not None
            and session.is_usual
            and not server.pause.is_on
            and server.shapes.are_valid(commands)
            and session.access.allows_plainly(commands)
        )

    def postpone_error(self, error: RespError) -> None:
        """What came after the postponed commands is no command: refuse it after them."""
        self._postponed_error = error

    def drop(self) -> None:
        """The connection ends: forget what is postponed, and what comes later."""
        self._later.drop()
        self.wait_no_more()
        self._postponed.clear()
        self._pipeline.is_held_up = False

    def wait_no_more(self) -> None:
        """The connection ends: wait for no elements any more, and forget what came behind that."""
        if self.is_waiting:
            self._postponed.clear()
            self._server.blocked.leave(self._session.client_id)

    def heed_pause(self, connection: IClientConnection) -> None:
        """A pause has begun: what comes may have to wait.  Or it is over: what has waited runs."""
        if self._is_paused and not self._server.pause.is_on:
            self._is_paused = False
            self._postpone(connection, self._postponed, self._share)
        else:
            self.is_plain = self._is_plain()

    def _is_plain(self) -> bool:
        """See is_plain."""
        return self._session.is_plain and not (self.is_behind or self._server.pause.is_on)

    def _sort(self, connection: IClientConnection, commands: list[list[bytes]], size_bytes: int) -> None:
        """Submit what the replica can run, answer the rest here, in order; postpone what takes too long."""
        session, pipeline, seconds = self._session, self._pipeline, self._server.seconds
        pause = self._server.pause
        share = size_bytes // len(commands) + 1
        ends_s = seconds() + SORTING_S
        for number, command in enumerate(commands, 1):
            if pause.is_on and pause.holds(session, command):
                self._wait_for_pause(commands[number - 1 :], share)
                return
            handler = handler_of(session, command)
            how = self._check(command) if handler is None else handler
            if not self._server.monitors.is_empty and (how is None or not is_refusal(how)):
                show(connection, command, SERVED.get(command[0].upper()))
            if how is None:
                if session.tracking is None:
                    self._together.add(placed(session.database, with_rights(session.access, command)), share)
                else:
                    self._add_tracked(connection, command, share)
                if session.silence is not Silence.NOW and len(self._together.commands) < COMMANDS_TOGETHER:
                    continue
                self._submit()
            elif not self._answer(connection, command, how, share):
                return
            session.on_command_over()
            session.on_command_read(command[0])
            self.is_plain = self._is_plain()
            if self._answered_bytes > self._answered_bytes_max:
                connection.cut_off("its commands ask for too much at a time")
            if pipeline.is_leaving:
                self._submit()
                return
            if self._is_holding:
                self._postponed = commands[number:]
                self._share = share
                return
            if seconds() >= ends_s and number < len(commands):
                self._submit()
                self._postpone(connection, commands[number:], share)
                return
        self._submit()

    def _add_tracked(self, connection: IClientConnection, command: Command, share: int) -> None:
        """The replica runs a command of a client that is told which copies of values to forget."""
        session, tracking = self._session, self._server.tracking
        tracking.remember(connection, session.database, inside_of(command))
        session.on_command_read(command[0])
        made = placed(session.database, with_rights(session.access, command))
        if session.tracking is not None and session.tracking.is_noloop:
            self._together.add_finished([made], partial(_finish_own, connection, _finish_plainly), share)
        else:
            self._together.add(made, share)

    def _submit(self) -> None:
        """Submit what was gathered."""
        together, self._together = self._together, Together()
        if together.commands:
            self._pipeline.submit_together(together)

    def _check(self, command: Command) -> CommandError | None:
        """Why the replica cannot run the command; None when it can."""
        try:
            self._server.replica.check(command)
        except CommandError as error:
            return error.with_traceback(None)  # the traceback leads here, and so to the error itself
        return None

    def _answer(
        self, connection: IClientConnection, command: Command, how: Handler | CommandError, share: int
    ) -> bool:
        """Answer a command here, by its handler or with its error.  False when the connection is gone."""
        session, pipeline = self._session, self._pipeline
        waits = session.silence is Silence.NONE and may_wait(session, command[0].upper())
        if not waits:
            self._submit()
        answer: Answer = how  # type: ignore[assignment]
        if callable(how):
            session.last_name = full_name(command)
            self._server.traffic.commands_processed += 1
            began_s = self._server.seconds()
            answer = how(connection, command)
            took_s = self._server.seconds() - began_s
            if session.last_name:
                if took_s >= self._server.slow.least_s:
                    self._server.slow.on_own(command, session, took_s)
                if not (isinstance(answer, ByReplica) and is_counted_later(answer.commands[-1])):
                    self._server.stats.answered(session.last_name, 1, took_s)
            elif isinstance(answer, CommandError):  # else it is queued
                self._server.stats.refused(command[0])
            if pipeline.is_gone:
                return False
        else:
            self._server.stats.refused(command[0])
        if isinstance(answer, Deferred):
            self._submit()
            self._later.expect(answer, session.silence is Silence.NONE)
        elif isinstance(answer, ByReplica):
            self._run(connection, answer, share)
        elif isinstance(answer, Waits):
            self._wait(connection, answer)
        elif self._together.commands:
            self._together.say(answer, share)
        elif session.silence is Silence.NONE or isinstance(answer, (Push, Several)):  # messages always come
            output = encode_reply(answer, session.resp)
            self._answered_bytes += len(output)
            pipeline.answer(output)
        return True

    def _run(self, connection: IClientConnection, answer: ByReplica, share: int) -> None:
        """Let the replica run what an answer needs."""
        finish = answer.finish
        if answer.holds:
            self._hold()
            self._together.changes_session = True
            finish = partial(self._let_go, connection, finish)
        if self._session.tracking is not None and self._session.tracking.is_noloop:
            finish = partial(_finish_own, connection, finish)
        self._together.add_finished(answer.commands, finish, answer.size_bytes + share)
        if answer.holds or self._session.silence is not Silence.NONE:
            self._submit()

    def _wait(self, connection: IClientConnection, waits: Waits) -> None:
        """Let the client wait.  What it sends meanwhile is kept, because only who reads notices its end."""
        session, pipeline = self._session, self._pipeline
        self._submit()
        self._is_holding = self.is_waiting = True
        self.is_plain = False
        self._heard_bytes = 0
        reads = self._server.tracking.remember(connection, waits.wish.database, waits.wish.asked)
        pipeline.messages_pass_last = session.silence is Silence.NONE and not reads
        pipeline.is_held_up = False
        span = pipeline.expect_later(waits.size_bytes) if session.silence is Silence.NONE else None
        session.last_name = waits.wish.asked[0]
        done = partial(self._on_waited, connection, span)
        if waits.settle is None:
            self._begin_to_wait(waits, waits.wish, done)
        else:
            pipeline.order.submit(waits.before, partial(self._on_before, waits, done), 0)

    def _on_before(self, waits: Waits, done: Done, outcome: Outcome) -> None:
        """What a wait needs to know first is known."""
        wrong: Sequence[Reply] = [CommandError(str(outcome))]
        if not isinstance(outcome, Unavailable):
            wrong = [reply for reply in outcome if isinstance(reply, CommandError)]
        if self._pipeline.is_leaving:
            done(())
        elif wrong:
            done(wrong[:1])
        else:
            assert waits.settle is not None and not isinstance(outcome, Unavailable)
            self._begin_to_wait(waits, waits.settle(waits.wish, outcome), done)

    def _begin_to_wait(self, waits: Waits, wish: Wish, done: Done) -> None:
        number, submit = self._session.client_id, self._pipeline.order.submit
        self._server.blocked.wait(number, wish, submit, done, waits.timeout_s, waits.size_bytes)

    def _on_waited(self, connection: IClientConnection, span: Span | None, replies: Sequence[Reply]) -> None:
        self._is_holding = self.is_waiting = self._pipeline.messages_pass_last = False
        if self._pipeline.is_gone:
            return
        if span is not None:
            self._pipeline.on_outcome(span, replies)
        self._server.clock.callLater(0, self._go_on, connection, self._heard_bytes)

    def _hold(self) -> None:
        """Look at nothing more that the client has sent, for now."""
        self._is_holding = self._pipeline.is_held_up = True
        self.is_plain = False

    def _let_go(
        self,
        connection: IClientConnection,
        finish: Callable[[Reply | Unavailable], Reply],
        outcome: Reply | Unavailable,
    ) -> Reply:
        reply = None if self._pipeline.is_gone else finish(outcome)
        self._is_holding = False
        if not self._pipeline.is_gone:
            waiting = self._share * len(self._postponed)
            self._server.clock.callLater(0, self._go_on, connection, waiting)
        return reply

    def _postpone(self, connection: IClientConnection, commands: list[list[bytes]], share: int) -> None:
        self._postponed = commands
        self._pipeline.is_held_up = True
        self.is_plain = False
        self._server.clock.callLater(0, self._go_on, connection, share * len(commands))

    def _wait_for_pause(self, commands: list[list[bytes]], share: int) -> None:
        self._submit()
        self._postponed, self._share = commands, share
        self._is_paused = self._pipeline.is_held_up = True
        self.is_plain = False

    def _go_on(self, connection: IClientConnection, size_bytes: int) -> None:
        """Sort what was postponed, in a turn of its own."""
        pipeline = self._pipeline
        if self._is_holding:  # what has come meanwhile has to wait for something else
            return
        commands, self._postponed = self._postponed, []
        pipeline.is_held_up = False
        if pipeline.is_leaving:
            return
        pipeline.regulate()
        if commands:
            self._sort(connection, commands, size_bytes)
        self.is_plain = self._is_plain()
        if not self.is_behind:
            if self._postponed_error is not None and not pipeline.is_leaving:
                connection.refuse(self._postponed_error)
            if pipeline.hears_no_more:
                connection.leave()
        pipeline.flush()
        pipeline.regulate()


def _finish_own(
    connection: IClientConnection,
    finish: Callable[[Reply | Unavailable], Reply],
    outcome: Reply | Unavailable,
) -> Reply:
    """The reply to a command of a client that need not be told of what it writes."""
    if not isinstance(outcome, Unavailable):
        connection.server.tracking.on_own_write(connection)
    return finish(outcome)


def _finish_plainly(outcome: Reply | Unavailable) -> Reply:
    return CommandError(str(outcome)) if isinstance(outcome, Unavailable) else outcome
