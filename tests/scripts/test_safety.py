"""Scripts that look for what lies behind the sandbox, or for the limits of a run before."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from time import thread_time

from lupa.lua51 import LuaRuntime
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Reply
from epaxos.interfaces.commands import ReplyMap, ReplyPairs, ReplySet
from epaxos.scripts.engine import Engine, Script
from epaxos.scripts.host import FUNCTIONS
from epaxos.scripts.limits import FULL, QUICK, QUICK_S
from tests.scripts.lab import Store, run

MIB = 1024 * 1024
TINY = FULL._replace(steps=20_000, work=60)


def raising(error: BaseException) -> Callable[[object], Reply]:
    def call(command: object) -> Reply:
        raise error

    return call


def replying(reply: object) -> Callable[[object], Reply]:
    return lambda command: reply  # type: ignore[return-value]


def ask(text: bytes, call: Callable[[object], Reply]) -> Reply:
    return Engine().run(Script(text, "", [], [], 0), call, lambda: None).reply


class PythonTests(SynchronousTestCase):
    """No object of Python reaches a script."""

    def test_numbers_as_texts(self) -> None:
        text = b"return {bit.band('0x1f', 15), bit.tohex('0x10', '4'), bit.bor(' 3 ', 4)}"
        self.assertEqual(run(Engine(), text).reply, [15, b"0010", 7])

    def test_errors_of_any_text(self) -> None:
        error = CommandError("ERR \udcff and \ud800")
        text = b"local ok, e = pcall(redis.call, 'x') return {type(e), e, redis.pcall('x').err}"
        for call in (raising(error), replying(error)):
            self.assertEqual(ask(text, call), [b"string", b"ERR ? and ?", b"ERR ? and ?"])
        self.assertEqual(ask(b"return redis.call('x')[1].err", replying([error])), b"ERR ? and ?")
        byte = CommandError("ERR \udcff")
        self.assertEqual(ask(b"return redis.pcall('x').err", replying(byte)), b"ERR \xff")

    def test_what_python_raises_ends_the_run(self) -> None:
        def log(level: int, text: bytes) -> None:
            raise KeyError(text)

        for text in (
            b"pcall(redis.log, 1, 'x') return 1",
            b"local _, e = pcall(redis.log, 1, 'x') return e.args",
        ):
            with self.assertRaises(KeyError):
                run(Engine(log), text)
        for reply in (object(), [object()], 1.5):
            with self.assertRaises(TypeError):
                ask(b"pcall(redis.call, 'x') return 1", replying(reply))

    def test_no_attributes(self) -> None:
        runtime = Engine()._runtime()
        found = runtime._lua.execute(b"return pcall(function(...) return (...).append end, ...)", [])
        self.assertIs(found[0], False)

    def test_errors_that_are_no_texts(self) -> None:
        text = b"local ok, e = pcall(error, cjson.null) return {ok == false, e == cjson.null}"
        self.assertEqual(run(Engine(), text).reply, [1, 1])

    def test_maps_and_pairs(self) -> None:
        for kind in (ReplyMap, ReplyPairs, ReplySet, list):
            self.assertEqual(ask(b"return redis.call('x')", replying(kind([b"a", b"b"]))), [b"a", b"b"])


class NativeTests(SynchronousTestCase):
    """What functions in C would take badly does not reach them."""

    def fails(self, text: bytes, why: str) -> None:
        result = run(Engine(), text)
        self.assertIn(why, str(result.reply), text)
        self.assertEqual(
            run(Engine(), b"return {pcall(function() %b end)}" % text).failed, "may" in why, text
        )

    def test_unpack_of_more_than_there_is_room_for(self) -> None:
        for bounds in (
            b"-2^31, 2^31-1", b"0, 2^31-1", b"-1, 2^31-2", b"-2^31, 0", b"1, 8001", b"0/0, 3", b"1, 0/0",
            b"-2^40, -2^40", b"2^31, 2^31", b"'-2147483648', '2147483647'", b"-1/0, 1/0", b"1/0, 1/0",
        ):  # fmt: skip
            self.fails(b"return unpack({1, 2}, %b)" % bounds, "too many results to unpack")
        self.assertEqual(run(Engine(), b"return {unpack({1, 2, 3}, '2')}").reply, [2, 3])
        self.assertEqual(run(Engine(), b"return {unpack({1, 2, 3}, 2.7, 3)}").reply, [2, 3])
        self.assertEqual(
            run(Engine(), b"return {select('#', unpack({1}, 2, 1)), select('#', unpack({}, -1, 2))}").reply,
            [0, 4],
        )
        self.fails(b"return unpack({}, {})", "bad argument #2 to 'unpack' (number expected, got table)")
        self.fails(b"return unpack({}, 1, 'x')", "bad argument #3 to 'unpack' (number expected, got string)")

    def test_numbers_that_are_none(self) -> None:
        for text in (
            b"return struct.unpack('d', 'abcdefgh', 0/0)",
            b"return struct.unpack('h', 'abcdefgh', 1/0)",
            b"return struct.unpack('dc0d', struct.pack('d', 0/0) .. 'abcdefghijkl')",
        ):
            self.fails(text, "data string too short")

    def test_functions_of_python_that_get_what_they_cannot_take(self) -> None:
        """They end the run, in the same way at every replica."""
        lua = LuaRuntime(encoding=None)
        for name, function in FUNCTIONS.items():
            for arguments in ((), (b"x",) * 2, (float("nan"),) * 2, (lua.table(), 1), (None, None)):
                with contextlib.suppress(ArithmeticError, TypeError, ValueError, struct.error):
                    self.assertIsNotNone(function(*arguments), name)

    def test_work_that_instructions_do_not_show(self) -> None:
        self.fails(b"return string.rep('', 2^31-1)", "more instructions than a script may")
        self.fails(b"local t = {} table.insert(t, -2^31, 1)", "more instructions than a script may")
        digits = b"return tostring(cjson.decode(string.rep('1', 300000)) > 1e300)"  # hours, if each is tried
        self.assertEqual(run(Engine(), digits).reply, b"true")

    def test_a_quick_run_is_one_that_takes_little(self) -> None:
        """Long strings are compared, and lists searched, by a single instruction or call each."""

        def late(command: object) -> Reply:
            until = thread_time() + QUICK_S / 4
            while thread_time() < until:
                pass
            return 1

        compared = b"local a = string.rep(ARGV[1], 10) for i = 1, 200 do local x = a .. 'a' < a .. 'b' end"
        called = b"for i = 1, 40 do redis.call('x') end"
        few = b"for i = 1, 2 do redis.call('x') end"
        for text, is_quick in ((compared, False), (called, False), (few, True)):
            steps = Engine().run_in_steps(Script(text, "", [], [b"x" * 100_000], 0), late, lambda: None)
            self.assertEqual(len(list(steps)) == 0, is_quick, text)

    def test_tables_with_many_items(self) -> None:
        """Behind some instructions there is a number, which is none."""
        text = b"local t = {%b} local n = 0 for i = 1, 30000 do n = n + t[i] end return {n, #t}" % (
            b"1," * 30000
        )
        self.assertEqual(run(Engine(), text).reply, [30000, 30000])


class LimitsOfBeforeTests(SynchronousTestCase):
    def test_a_run_at_its_limit(self) -> None:
        """The hook comes every 1000 instructions: some of these runs meet it behind their end."""
        for pad in range(250):
            text = b"local a = 1 " + b"a = a + 1 " * pad + b"while true do redis.call('get', KEYS[1]) end"
            engine = Engine(full=TINY, quick=QUICK._replace(work=10))
            self.assertIn("more commands", str(run(engine, text).reply), pad)

    def test_the_run_behind_it(self) -> None:
        engine = Engine(quick=QUICK._replace(steps=5_000))
        for pad in range(600):
            run(engine, b"for i = 1, ARGV[2] * 0 + %d do end return 1" % (2_000 + pad * 5))
            self.assertEqual(run(engine, b"return 2").reply, 2, pad)

    def test_errors_of_the_store(self) -> None:
        engine = Engine()
        for pad in range(120):
            text = b"local a = 1 " + b"a = a + 1 " * pad + b"return redis.call('get')"
            with self.assertRaises(KeyError):
                engine.run(Script(text, "", [], [], 0), raising(KeyError()), lambda: None)
            engine.check(b"return 3 --" + text)
            self.assertEqual(run(engine, b"local a = 1 " + b"a = a + 1 " * pad + b"return a").reply, pad + 1)


class MemoryTests(SynchronousTestCase):
    def test_compiling_does_not_depend_on_what_was_compiled(self) -> None:
        big = b"local x\n" + b"x = function() end " * 10_000
        engine = Engine()
        for number in range(9):
            engine.check(big + b"--%d" % number)
        self.assertEqual(run(engine, big + b"return 7").reply, 7)

    def test_compiling_takes_more_than_a_quick_run_may(self) -> None:
        engine = Engine(quick=QUICK._replace(memory=2 * MIB, inputs=1000))
        text = b"local x\n" + b"x = function() end " * 10_000 + b"return 7"
        engine.check(text)
        self.assertEqual(run(engine, text).reply, 7)

    def test_compiling_takes_too_much(self) -> None:
        small = FULL._replace(memory=2 * MIB, inputs=1000)
        text = b"local x\n" + b"x = function() end " * 10_000
        with self.assertRaisesRegex(CommandError, "more memory"):
            Engine(quick=small, full=small).check(text)
        self.assertIn("more memory", str(run(Engine(quick=small, full=small), text).reply))
        inner = b"return loadstring('local x ' .. string.rep('x = function() end ', 10000))"
        self.assertIn("more memory", str(run(Engine(quick=small, full=small), inner).reply))

    def test_functions_of_python_at_the_limit(self) -> None:
        """Lua's error for no memory would leave the code of Python without giving back its lock."""
        engine = Engine(full=FULL._replace(memory=8 * MIB, inputs=MIB))
        fill = b"local t, s, n = {}, string.rep('x', 1e5), 0 for i = 1, %d do t[i] = s .. i end "
        fill += b"while true do n = n + 1 "
        for count in (75, 95, 98):
            for use in (
                b"redis.sha1hex(n)", b"bit.tohex(n)", b"loadstring('return ' .. n)", b"struct.pack('d', n)",
                b"redis.pcall({}, {})",
            ):  # fmt: skip
                self.assertIn("more memory", str(run(engine, fill % count + use + b" end").reply), use)

    def test_many_empty_arguments(self) -> None:
        script = Script(b"return #ARGV", "", [], [b""] * 300_000, 0)
        self.assertEqual(Engine().run(script, Store(), lambda: None).reply, 300_000)
        small = Engine(full=QUICK)
        self.assertIn("more memory", str(small.run(script, Store(), lambda: None).reply))


class PatternCostTests(SynchronousTestCase):
    def test_many_quantifiers(self) -> None:
        text = b"return {select(2, pcall(string.find, 'a', string.rep('a%s', 300000)))}"
        for letter in b"?*+-":
            self.assertEqual(run(Engine(), text % bytes([letter])).reply, [b"pattern too complex"])

    def test_what_takes_long_is_counted(self) -> None:
        engine = Engine(full=FULL._replace(steps=200_000))
        for text in (
            b"return string.find(string.rep('a', 26), string.rep('a?', 26) .. string.rep('a', 26))",
            b"return string.find(string.rep('a', 1e5), '[' .. string.rep('b', 190) .. 'a]-c')",
            b"return string.find(string.rep('a', 1e5), '[' .. string.rep('b', 1e5) .. ']')",
            b"for i = 1, 100 do string.find(string.rep('a', 1e6), string.rep('a', 99) .. 'b', 1, true) end",
            b"for i = 1, 100 do redis.sha1hex(string.rep('a', 1e6)) end",
        ):
            self.assertIn("more instructions", str(run(engine, text).reply), text)

    def test_usual_ones_are_quick(self) -> None:
        for text, reply in (
            (
                b"local n = 0 for i = 1, 500 do n = n + #('some key=value'):match('(%w+)=') end return n",
                1500,
            ),
            (b"return select(2, string.gsub(string.rep('key=value; ', 20000), '%s', ''))", 20000),
            (b"return (string.find(string.rep('x', 5000) .. '!', '[!?]'))", 5001),
        ):
            self.assertEqual(run(Engine(full=FULL._replace(steps=0)), text).reply, reply)
