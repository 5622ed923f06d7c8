"""Runs scripts, so that no client can see in which of two ways one ran.

A run begins within the limits QUICK, in a Lua that is kept.  Most runs end there.  One that reaches a limit
is taken back, and begun anew within FULL: in a new Lua, whose memory therefore grows the same way at every
replica, and in a thread, which stops after each step and lets the event loop go on.  The limits QUICK may
depend on what ran before, on memory and on time, because nobody sees that they were reached.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from threading import Lock, Semaphore, Thread
from typing import Any, NamedTuple

from epaxos.interfaces import CommandError, Reply
from epaxos.scripts.limits import FULL, QUICK, TEXT_BYTES_MAX, Limits
from epaxos.scripts.runtime import ENDED, FAILED, LIST, TEXT, Exhausted, Runtime
from epaxos.scripts.values import parsed, plain

__all__ = ["Engine", "Result", "Script"]

LONGEST_STEP_S = 0.005
"""A step of a long run ends behind this time, even while C works on one instruction of it."""

STEPS_PER_PAUSE = 50
"""A long run stops after this number of ticks, each of 1000 instructions or of a few calls: about a
millisecond."""

ELEMENT_BYTES = 40
"""What a key or an argument takes in Lua beside its text."""

EXHAUSTED = {
    "steps": "ERR the script ran for more instructions than a script may",
    "work": "ERR the script called more commands than a script may",
    "memory": "ERR the script used more memory than a script may",
    "stopped": "ERR the script was stopped by an error in a library",
}


class Script(NamedTuple):
    """One call of a script.  `sha`: that of its text, in hexadecimal digits.  `seed`: what chance follows
    from."""

    text: bytes
    sha: str
    keys: Sequence[bytes]
    arguments: Sequence[bytes]
    seed: int


class Result(NamedTuple):
    """The reply to a call.  `failed`: what the script did has to be taken back."""

    reply: Reply
    failed: bool


def _discard(level: int, text: bytes) -> None:
    pass


class Engine:
    """Runs scripts one after the other.  `log`: takes what scripts log, a level (0 to 3) and a text."""

    def __init__(
        self, log: Callable[[int, bytes], None] = _discard, quick: Limits = QUICK, full: Limits = FULL
    ) -> None:
        self._log = log
        self._quick_limits, self._full_limits = quick, full
        self._quick: Runtime | None = None

    def check(self, text: bytes) -> None:
        """Raise CommandError, in Redis' words, for a text that is no script, or takes too much memory."""
        if len(text) > TEXT_BYTES_MAX:
            raise CommandError(f"ERR a script may have {TEXT_BYTES_MAX} bytes")
        try:
            self._runtime().compiled(text)
            return
        except Exhausted:
            self._quick = None
        try:  # in a new Lua: the same at every replica
            Runtime(self._full_limits, self._log).compiled(text)
        except Exhausted as error:
            raise CommandError(EXHAUSTED[str(error)]) from None

    def run(
        self, script: Script, call: Callable[[Sequence[bytes]], Reply], undo: Callable[[], None]
    ) -> Result:
        """As `run_in_steps`, at once."""
        steps = self.run_in_steps(script, call, undo)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]

    def run_in_steps(
        self, script: Script, call: Callable[[Sequence[bytes]], Reply], undo: Callable[[], None]
    ) -> Generator[None, None, Result]:
        """Run `script`; None after each step but the last.

        `call`: runs one command for the script, perhaps in another thread, while nothing else goes on.  What
        it raises that is no CommandError ends the run and is raised here.  `undo`: takes back what the
        commands have done since the run began; called before a run begins anew.  Raises ValueError when this
        process cannot promise the results of other replicas.
        """
        count = len(script.keys) + len(script.arguments)
        inputs = sum(map(len, script.keys)) + sum(map(len, script.arguments)) + ELEMENT_BYTES * count
        if inputs <= self._quick_limits.inputs:
            try:
                return _result(script, _run(self._runtime(), script, call))
            except Exhausted:
                self._quick = None
            undo()
        elif inputs > self._full_limits.inputs:
            return Result(CommandError(EXHAUSTED["memory"]), True)
        yield
        try:
            found = yield from self._in_thread(script, call)
        except Exhausted as error:
            return Result(CommandError(EXHAUSTED[str(error)]), True)
        return _result(script, found)

    def _runtime(self) -> Runtime:
        if self._quick is None:
            self._quick = Runtime(self._quick_limits, self._log)
        return self._quick

    def _in_thread(
        self, script: Script, call: Callable[[Sequence[bytes]], Reply]
    ) -> Generator[None, None, Any]:
        work = _LongRun(self._full_limits, self._log, script, call)
        try:
            while not work.step():
                yield
        finally:
            work.stop()
        return work.outcome()


class _LongRun:
    """A run in a thread of its own.  It calls commands only during `step`; Lua may go on in between."""

    def __init__(
        self,
        limits: Limits,
        log: Callable[[int, bytes], None],
        script: Script,
        call: Callable[[Sequence[bytes]], Reply],
    ) -> None:
        self._go, self._paused, self._calling = Semaphore(0), Semaphore(0), Lock()
        self._is_held = False  # whether the loop holds `_calling`
        self._waiting = True  # whether the thread waits for `_go`
        self._stopped = self._done = False
        self._ticks = 0
        self._found: Any = None
        self._error: BaseException | None = None
        self._call = call
        self._thread = Thread(target=self._work, args=(limits, log, script), daemon=True)
        self._thread.start()

    def _work(self, limits: Limits, log: Any, script: Script) -> None:
        self._go.acquire()
        try:
            if not self._stopped:
                self._found = _run(Runtime(limits, log, self._pause), script, self._called)
        except BaseException as error:  # it is raised where the thread was begun
            self._error = error
        self._done = True
        self._paused.release()

    def _called(self, command: Sequence[bytes]) -> Reply:
        """Called in the thread: run a command, while the event loop waits in `step`."""
        with self._calling:
            if self._stopped:
                raise RuntimeError("the run has been given up")
            return self._call(command)

    def _pause(self) -> bool:
        """Called in the thread: let the event loop go on now and then.  Whether the run has to end."""
        self._ticks += 1
        if self._ticks % STEPS_PER_PAUSE == 0:
            self._paused.release()
            self._go.acquire()
        return self._stopped

    def step(self) -> bool:
        """Let the thread go on to its next pause; whether it has come to its end."""
        self._let_call()
        if self._waiting:
            self._waiting = False
            self._go.release()
        if not self._paused.acquire(timeout=LONGEST_STEP_S):
            self._calling.acquire()  # a command that is being run is run to its end
            self._is_held = True
            return False
        self._waiting = True
        return self._done

    def _let_call(self) -> None:
        if self._is_held:
            self._is_held = False
            self._calling.release()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._let_call()
        self._go.release()

    def outcome(self) -> Any:
        """What the run has returned.  Raises what it has raised."""
        if self._error is not None:
            raise self._error
        return self._found


def _run(runtime: Runtime, script: Script, call: Callable[[Sequence[bytes]], Reply]) -> Any:
    chance = (script.seed * 0x9E3779B97F4A7C15 >> 16) & (2**48 - 1)
    return runtime.run(script.text, script.keys, script.arguments, call, chance)


def _result(script: Script, found: Any) -> Result:
    if type(found) is not tuple:
        return Result(plain(found), False)
    what = found[0]
    if what == LIST:
        return Result([item if type(item) is bytes else plain(item) for item in found[1:]], False)
    if what == TEXT:
        return Result(parsed(found[1]), False)
    assert what == FAILED, (what, ENDED)
    text = found[1].decode("utf-8", "surrogateescape")
    where = f", on @user_script:{found[2]}." if found[2] else ""
    return Result(CommandError(f"{text} script: {script.sha}{where}"), True)
