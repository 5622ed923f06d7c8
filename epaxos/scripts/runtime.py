"""One Lua with the sandbox in it."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib.resources import files
from time import thread_time
from typing import Any

from lupa.lua51 import LuaError, LuaMemoryError, LuaRuntime

from epaxos.interfaces import CommandError, Reply, SimpleString
from epaxos.interfaces.redis import OK
from epaxos.interfaces.redis import bytes_of as encoded
from epaxos.scripts.host import FUNCTIONS
from epaxos.scripts.limits import QUICK_S, Limits
from epaxos.scripts.shebang import body_of
from epaxos.scripts.values import arguments_of, bytes_of, list_in_lua

__all__ = ["Exhausted", "Runtime"]

VERSION, VERSION_NUMBER = b"7.0.15", 0x0007000F
"""What scripts see of Redis' version: that of the semantics."""

COMPILED_MAX, COMPILED_BYTES_MAX = 500, 4 * 1024 * 1024
TIDY_BYTES = 8 * 1024 * 1024
"""Garbage is collected before a run, when there is this much more than after the last time."""

KEPT_BYTES = 8 * 1024 * 1024
"""When more than this stays, the compiled scripts are forgotten."""

CALLS_PER_PAUSE = 8
"""Eight calls of commands take about as long as a few thousand instructions."""

NO_ARGUMENTS = b"ERR Please specify at least one argument for this redis lib call"
SLACK, SHORT = 64 * 1024, 4096

STATUS, ERROR, NULL, STOP = 1, 2, 3, 4
"""The kinds of replies in lua/sandbox.lua."""

STOPPED, NO_MEMORY, NO_WORK = (1, STOP), (2, STOP), (3, STOP)
"""What ends a run, with the place of its reason in `STOPS` of lua/sandbox.lua.  These are numbers, because
Lua has to allocate nothing for them."""

_UNFIT = (ArithmeticError, TypeError, ValueError, struct.error)
"""What the functions of `host` raise for arguments that Lua has not checked."""

OK_IN_LUA = (b"OK", STATUS)

CallCommand = Callable[[Sequence[bytes]], Reply]


class Exhausted(Exception):
    """A run has reached a limit, which its text names."""


def _nothing() -> bool:
    return False


def _refuse_attribute(value: object, name: object, is_setting: bool) -> str:
    raise AttributeError("scripts see nothing of Python")


class Runtime:
    """A Lua that runs scripts one after the other.

    `limits`: of each run.  `log`: what `redis.log` calls with a level and a text.  `pause`: called every 1000
    instructions or CALLS_PER_PAUSE calls; returns whether the run has to end.  Without it a run also ends
    after QUICK_S seconds of processor time.
    """

    def __init__(
        self, limits: Limits, log: Callable[[int, bytes], None], pause: Callable[[], bool] = _nothing
    ) -> None:
        self._limits = limits
        self._memory_for_replies = limits.memory // 2 - SLACK
        self._memory_max = limits.memory + limits.inputs * 2
        self._lua = lua = LuaRuntime(
            encoding=None,
            source_encoding="latin-1",
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_refuse_attribute,
            max_memory=self._memory_max,
        )
        self._pause = self._is_late if pause is _nothing else pause
        self._late_at = 0.0
        self._commands: CallCommand = _no_command
        self._left = 0
        self._failure: BaseException | None = None
        self._compiled: OrderedDict[bytes, Any] = OrderedDict()
        self._compiled_bytes = 0
        host = {name.encode(): self._guarded(function, _UNFIT) for name, function in FUNCTIONS.items()}
        own = {
            b"call": self._call,
            b"log": self._guarded(log),
            b"call_memory": limits.memory // 2 / 1024,
            b"version": VERSION,
            b"version_number": VERSION_NUMBER,
            b"quick_s": QUICK_S,
        }
        if pause is not _nothing:
            own[b"pause"] = self._guarded(pause)
        api = _load(lua, "sandbox", lua.table_from({**host, **own}), _parts(lua))
        self._run, self._compile = api[b"run"], api[b"compile"]
        self._collect()
        self._kept_max = lua.get_memory_used() + KEPT_BYTES

    def compiled(self, text: bytes) -> Any:
        """The function of a script.  Raises CommandError when it is no Lua, and Exhausted where the memory
        does not suffice."""
        function = self._compiled.get(text)
        if function is not None:
            self._compiled.move_to_end(text)
            return function
        self._tidy()
        self._failure = None
        try:
            found = self._compile(body_of(text).lua)
        except (LuaMemoryError, LuaError) as error:
            raise Exhausted(_reason_of(error)) from error
        if self._failure is not None:
            raise self._failure
        self._tidy()
        if type(found) is tuple:
            reason = found[1].decode("utf-8", "backslashreplace")
            raise CommandError(f"ERR Error compiling script (new function): {reason}")
        self._compiled[text] = found
        self._compiled_bytes += len(text)
        while len(self._compiled) > COMPILED_MAX or self._compiled_bytes > COMPILED_BYTES_MAX:
            self._compiled_bytes -= len(self._compiled.popitem(last=False)[0])
        return found

    def run(
        self,
        text: bytes,
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        call: CallCommand,
        chance: int,
    ) -> Any:
        """What `api.run` of lua/sandbox.lua returns.

        Raises CommandError when the script is no Lua, Exhausted where a limit is reached, what `call` raised
        that is no CommandError, and ValueError where the locale of this process changes what Lua does.
        """
        lua = self._lua
        self._commands, self._left, self._failure = call, self._limits.work, None
        self._late_at = 0.0
        function = self.compiled(text)
        self._tidy()
        try:
            found = self._run(
                function, lua.table_from(keys), lua.table_from(arguments), chance, self._limits.steps
            )
        except (LuaMemoryError, LuaError) as error:
            if self._failure is None and "locale" in str(error):
                raise ValueError(
                    "scripts need the locale C for LC_COLLATE and LC_CTYPE, or one in UTF-8"
                ) from error
            found = (ENDED, _reason_of(error).encode())
        finally:
            self._commands = (
                _no_command  # else the next run would find what this one has seen still in memory
            )
        if self._failure is not None:
            raise self._failure
        if type(found) is tuple and found[0] == ENDED:
            raise Exhausted(found[1].decode())
        return found

    def _tidy(self) -> None:
        """Collect garbage when there is much, so that a run and the compiler begin with enough memory."""
        if self._lua.get_memory_used() <= self._tidy_at:
            return
        self._collect()
        if self._lua.get_memory_used() > self._kept_max:
            self._compiled.clear()
            self._compiled_bytes = 0
            self._collect()

    def _collect(self) -> None:
        """Collect garbage, and leave it alone then: during a run nothing is freed, because what is freed
        decides how a table grows."""
        self._lua.gccollect()
        self._lua.execute(b"collectgarbage('stop')")
        self._tidy_at = self._lua.get_memory_used() + TIDY_BYTES

    def _guarded(
        self, function: Callable[..., Any], unfit: tuple[type[Exception], ...] = ()
    ) -> Callable[..., Any]:
        """`function` as Lua may call it.  What it raises ends the run, because a script could catch it; and
        what it returns has room, because Lua's error for no memory must not cross the code of Python.

        `unfit`: what it raises, at every replica, for arguments that it cannot take: that ends the run alone.
        """

        def guarded(*arguments: Any) -> Any:
            try:
                found = function(*arguments)
                if type(found) is bytes and not self._has_room(len(found)):
                    return NO_MEMORY
            except unfit:
                return STOPPED
            except BaseException as error:
                self._failure = error
                return STOPPED
            return found

        return guarded

    def _is_late(self) -> bool:
        """Whether QUICK_S have gone by since the first look."""
        now = thread_time()
        self._late_at = self._late_at or now + QUICK_S
        return now > self._late_at

    def _has_room(self, size: int) -> bool:
        """Whether Lua can take a string.  Its table of strings may grow by that, by half of what is used."""
        used: int = self._lua.get_memory_used()
        return used * 3 // 2 + size + SLACK <= self._memory_max

    def _call(self, *values: Any) -> Any:
        """Run a command for the script; a value of Lua, or a value and its kind.  Raises nothing."""
        try:
            if not values:
                return NO_ARGUMENTS, ERROR
            for value in values:
                if type(value) is not bytes:
                    values = tuple(arguments_of(values))
                    break
            reply = self._commands(values)
            kind = type(reply)
            if kind is int or reply is OK or (kind is bytes and len(reply) < SHORT):  # type: ignore[arg-type]
                self._left -= 1
                if (
                    self._left >= 0
                    and self._left % CALLS_PER_PAUSE
                    and self._lua.get_memory_used() < self._memory_for_replies
                ):
                    return OK_IN_LUA if reply is OK else reply
                self._left += 1
        except CommandError as error:
            reply = error
        except BaseException as error:  # it must not cross the C code of Lua
            self._failure = error
            return STOPPED
        try:
            return self._in_lua(reply)
        except BaseException as error:
            self._failure = error
            return STOPPED

    def _in_lua(self, reply: Reply) -> Any:
        lua = self._lua
        kind = type(reply)
        self._left -= 1
        if self._left % CALLS_PER_PAUSE == 0 and self._pause():
            return STOPPED
        room = self._memory_for_replies + SLACK - lua.get_memory_used()
        if isinstance(reply, list):
            self._left -= len(reply) // 10
            room -= 2 * bytes_of(reply)
        elif kind is bytes:
            room -= len(reply)  # type: ignore[arg-type]
        if room < SLACK:
            return NO_MEMORY
        if self._left < 0:
            return NO_WORK
        if kind is bytes or kind is int:
            return reply
        if reply is None:
            return False, NULL
        if kind is SimpleString:
            return encoded(reply), STATUS  # type: ignore[arg-type]
        if isinstance(reply, list):
            return list_in_lua(reply, lua.table_from)
        if isinstance(reply, CommandError):
            return encoded(str(reply)), ERROR
        raise TypeError(f"a reply of the type {kind.__name__} for a script")


def _reason_of(error: BaseException) -> str:
    """What is exhausted, by an error that has left Lua."""
    text = str(error)
    if isinstance(error, LuaMemoryError) or "memory" in text:
        return "memory"
    return "work" if "work" in text else "stopped" if "stopped" in text else "steps"


LIST, TEXT, FAILED, ENDED = 1, 2, 3, 4
"""What the first of several values that a run returns says of the others."""

PARTS = ("strings", "tables", "maths", "bit", "struct", "cmsgpack", "cjson", "patterns")


def _source(name: str) -> bytes:
    return files("epaxos.scripts").joinpath("lua").joinpath(f"{name}.lua").read_bytes()


def _load(lua: Any, name: str, *arguments: Any) -> Any:
    """Run a file of lua/.  Its functions are called `library` where errors name them."""
    load = lua.execute(b"local text = ... return assert(loadstring(text, '=library'))", _source(name))
    return load(*arguments)


def _parts(lua: Any) -> Any:
    load = lua.execute(b"return function(text) return assert(loadstring(text, '=library')) end")
    parts = {name.encode(): load(_source(name)) for name in PARTS}
    parts[b"order"] = _load(lua, "order")
    return lua.table_from(parts)


def _no_command(command: Sequence[bytes]) -> None:
    """Between two runs no script calls anything."""
