"""What a script may not do, and that its result depends on nothing but its arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from time import sleep

from lupa.lua51 import LuaRuntime
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Reply
from epaxos.scripts.bytecode import without_tail_calls
from epaxos.scripts.engine import LONGEST_STEP_S, Engine, Script
from epaxos.scripts.limits import FULL, QUICK
from tests.scripts.lab import Store, run

NO_QUICK = QUICK._replace(steps=0, work=0)
"""Each run that does anything begins anew."""

SMALL = FULL._replace(steps=200_000, work=2_000, memory=32 * 1024 * 1024)

WALKS = [
    b"local t, r = {}, {} for i = 1, 200 do t['k' .. (i * 7919 % 1000)] = i end"
    b" for k, v in pairs(t) do r[#r + 1] = k .. v end return r",
    b"local t, r = {}, {} for i = 1, 200 do t[(i * 7919 % 1000) / 4] = i t['s' .. i] = i end t[true] = 1"
    b" local k, v = next(t) while k ~= nil do r[#r + 1] = tostring(k) k, v = next(t, k) end return r",
    b"local t = {} for i = 1, 50 do t['k' .. i] = i end for i = 1, 50, 3 do t['k' .. i] = nil end"
    b" for i = 60, 90 do t['k' .. i] = i end return cjson.encode(t)",
    b"local t = {} for i = 1, 30 do t[i] = i end for i = 2, 30, 2 do t[i] = nil end t.x = 1 return #t",
    b"return tostring({}) .. tostring(print == nil) .. tostring(function() end) .. tostring(tostring)",
    b"return {math.random(1000000), math.random(1000000), tostring(math.random())}",
    b"local t = {5, 3, 9, 1, 7, 2} table.sort(t, function(a, b) return a * 7 % 5 <= b * 3 % 4 end) return t",
    b"return {tostring(math.sin(1)), tostring(2 ^ 0.5), tostring(math.exp(3.3))}",
    b"return cmsgpack.pack({a = 1, b = 2, c = {1, 2, x = 3}})",
    b"local r = {} for k in pairs(_G) do r[#r + 1] = k end return r",
    b"local r = {} for k in pairs(string) do r[#r + 1] = k end return r",
]


def walked() -> str:
    """The replies of WALKS, in this process."""
    engine, slow = Engine(), Engine(quick=NO_QUICK)
    replies = [run(engine, text).reply for text in WALKS]
    again = [run(slow, text).reply for text in WALKS]
    return f"{replies}{list(map(str, replies)) == list(map(str, again))}"


PRINTED = "from tests.scripts.test_engine import walked; print(walked(), end='')"


class SameEverywhereTests(SynchronousTestCase):
    def test_in_other_processes(self) -> None:
        """Hash seeds, addresses and what ran before differ; the replies do not."""
        mine = walked()
        self.assertTrue(mine.endswith("True"), mine)
        for seed in ("0", "1", "4242"):
            found = subprocess.run(
                [sys.executable, "-c", PRINTED],
                env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C.UTF-8"},
                capture_output=True, check=True, text=True,
            )  # fmt: skip
            self.assertEqual(found.stdout, mine)

    def test_chance_follows_the_seed(self) -> None:
        engine, text = Engine(), b"return math.random(1000000000)"
        self.assertEqual(run(engine, text, 1).reply, run(engine, text, 1).reply)
        self.assertNotEqual(run(engine, text, 1).reply, run(engine, text, 2).reply)

    def test_no_order_by_addresses(self) -> None:
        for walk in (
            b"for k in pairs(t) do end",
            b"next(t)",
            b"table.foreach(t, tostring)",
            b"cjson.encode(t)",
        ):
            result = run(Engine(), b"local t = {[{}] = 1, [tostring] = 2} " + walk)
            self.assertTrue(result.failed, walk)

    def test_a_run_leaves_nothing_behind(self) -> None:
        engine = Engine()
        for text in (
            b"x = 1", b"string.x = 1", b"rawset(string, 'x', 1)", b"rawset(_G, 'x', 1)",
            b"setmetatable(_G, nil)", b"setmetatable(string, {})", b"getmetatable('').__index = nil",
            b"table.insert(string, 1)", b"redis.call = nil", b"KEYS = nil", b"cjson.null = 1",
        ):  # fmt: skip
            self.assertTrue(run(engine, text).failed, text)
        run(engine, b"cjson.encode_max_depth(1) redis.setresp(3) math.randomseed(1)")
        self.assertEqual(run(engine, b"return cjson.encode({{1}})").reply, b"[[1]]")
        self.assertEqual(run(engine, b"return type(redis.call('get', 'none'))").reply, b"boolean")

    def test_what_is_not_there(self) -> None:
        for name in (
            "os", "io", "debug", "package", "require", "dofile", "loadfile", "print", "newproxy", "setfenv",
            "getfenv", "coroutine", "module",
        ):  # fmt: skip
            reply = str(run(Engine(), f"return {name}".encode()).reply)
            self.assertIn(f"nonexistent global variable '{name}'", reply)
        self.assertEqual(run(Engine(), b"return {string.dump, redis.breakpoint}").reply, [])

    def test_bytecode_is_not_loaded(self) -> None:
        self.assertTrue(run(Engine(), b"\x1bLuaQ").failed)
        self.assertIsNone(run(Engine(), b"return loadstring('\\27Lua')").reply)


class LimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.engine = Engine(full=SMALL)

    def fails(self, text: bytes, why: str) -> None:
        result = run(self.engine, text)
        self.assertIn(why, str(result.reply), text)
        self.assertTrue(result.failed)
        self.assertEqual(run(self.engine, b"return 1").reply, 1, "the next one runs")

    def test_steps(self) -> None:
        for text in (
            b"while true do end",
            b"pcall(function() while true do end end) return 1",
            b"while true do pcall(function() while true do end end) end",
            b"xpcall(function() while true do end end, function() while true do end end) return 1",
            b"local function f() while true do end end return {pcall(pcall, f)}",
            b"table.sort({3, 2, 1}, function() while true do end end)",
            b"string.gsub('abc', '.', function() while true do end end)",
            b"load(function() while true do end end)",
            b"local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
            b"return string.find(string.rep('a', 3000), '.-.-.-.-b')",
        ):
            self.fails(text, "more instructions")

    def test_memory(self) -> None:
        for text in (
            b"local s = 'x' while true do s = s .. s end",
            b"pcall(function() local s = 'x' while true do s = s .. s end end) return 1",
            b"local t = {} while true do t[#t + 1] = {t} end",
            b"return string.rep('x', 1e10)",
            b"return pcall(error, 'not enough memory', 0)",
        ):
            self.assertTrue(run(self.engine, text).failed, text)

    def test_calls(self) -> None:
        self.fails(b"while true do redis.call('incr', KEYS[1]) end", "more commands")
        self.fails(b"while true do redis.pcall('nope') end", "more commands")

    def test_replies_count(self) -> None:
        store = Store()
        store.mget = lambda *keys: [b"x" * 1000] * 100_000  # type: ignore[method-assign]
        result = run(self.engine, b"return #redis.call('mget', 'a')", store=store)
        self.assertIn("more memory", str(result.reply))

    def test_a_long_run_is_taken_back_and_runs_in_steps(self) -> None:
        text = b"for i = 1, 1500 do redis.call('incr', KEYS[1]) end return redis.call('get', KEYS[1])"
        store, undone = Store(), []

        def undo() -> None:
            undone.append(dict(store.data))
            store.data.clear()

        steps = Engine().run_in_steps(Script(text, "", [b"k"], [], 0), store, undo)
        count = 0
        while True:
            try:
                next(steps)
                count += 1
            except StopIteration as stop:
                self.assertEqual(stop.value.reply, b"1500")
                break
        self.assertGreater(count, 2)
        self.assertEqual(len(undone), 1)
        self.assertEqual(store.data, {b"k": b"1500"})

    def test_no_command_runs_between_two_steps(self) -> None:
        """A step that ends behind its time waits for the command; the next one begins with the next step."""
        running, called = [False], [0]

        def call(command: object) -> Reply:
            running[0] = True
            sleep(3 * LONGEST_STEP_S)
            called[0] += 1
            running[0] = False
            return 1

        text = b"for i = 1, 12 do redis.call('x') end return 5"
        steps = Engine(quick=NO_QUICK).run_in_steps(Script(text, "", [], [], 0), call, lambda: None)
        for _ in steps:
            before = called[0]
            sleep(LONGEST_STEP_S)
            self.assertEqual((running[0], called[0]), (False, before))
        self.assertGreaterEqual(called[0], 12)

    def test_a_run_that_is_given_up_calls_nothing(self) -> None:
        called: list[object] = []

        def call(command: object) -> Reply:
            called.append(command)
            sleep(2 * LONGEST_STEP_S)
            return 1

        text = b"for i = 1, 5000 do redis.call('x') end"
        steps = Engine(quick=NO_QUICK).run_in_steps(Script(text, "", [], [], 0), call, lambda: None)
        for _ in range(4):
            next(steps)
        steps.close()
        before = len(called)
        sleep(10 * LONGEST_STEP_S)
        self.assertEqual(len(called), before)

    def test_what_a_command_raises_ends_the_run(self) -> None:
        def call(command: object) -> Reply:
            raise KeyError(command)

        for text in (b"redis.call('x')", b"pcall(redis.call, 'x') return 1", b"redis.pcall('x') return 1"):
            for engine in (Engine(), Engine(quick=NO_QUICK)):
                with self.assertRaises(KeyError):
                    engine.run(Script(text, "", [], [], 0), call, lambda: None)

    def test_deep_replies(self) -> None:
        reply = run(self.engine, b"local t = {} t[1] = t return t").reply
        self.assertIn("stack limit", str(reply))

    def test_compiling(self) -> None:
        with self.assertRaises(CommandError):
            self.engine.check(b"x y")
        with self.assertRaises(CommandError):
            self.engine.check(b"-" * 300_000)
        self.engine.check(b"#!lua flags=no-writes\nreturn 1")
        for text in (b"#!lua", b"#!lua flags=x\n", b"#!ruby\n", b"#!lua name=x\n"):
            with self.assertRaises(CommandError):
                self.engine.check(text)


PATTERNS = [
    (b"key=val; k2=v2", b"(%w+)=(%w+)"),
    (b"aXbXc", b"(.-)X(.-)X"),
    (b"[[x]] [y]", b"%b[] *(%b[])"),
    (b"THE (quick) fox", b"%((%a+)%) *%a"),
    (b"THE (quick) fox", b"%f[%a]%a+%f[%A] *"),
    (b"abcabc", b"(a%a*)%1 +"),
    (b"aaa", b"a-b?a- $"),
    (b"", b".*x*"),
    (b"xx", b"()x+()x*"),
    (b"a.b-c", b"[%w%-]+ ?[^%-]*-"),
    (b"a]b", b"[]]+b* ?"),
    (b"ab", b"[^a]+a*[b-d]+"),
    (b"2024-01-02", b"^(%d+)-(%d+)-(%d+)"),
    (b"none", b"z*z-z"),
    (b"trim  ", b"^%s*(.-)%s*$"),
    (b"e\x00z\xe9", b"%z*(.)[\xe9\xea]+"),
    (b"a1B2", b"%l*%d+%u*%d+"),
    (b"x", b"%p*%s+%p*"),
]

USE = b"""
local s, p = ARGV[1], ARGV[2]
local r = {s:find(p)}
for a, b in s:gmatch(p) do r[#r + 1] = tostring(a) r[#r + 1] = tostring(b) end
for _, by in ipairs({'<%0>', {x = '1', aaa = false}, function(a, b) return b end}) do
  local text, count = s:gsub(p, by, 50)
  r[#r + 1] = text
  r[#r + 1] = count
end
r[#r + 1] = tostring(s:match(p, -20))
r[#r + 1] = tostring(s:find(p, 5))
return r"""


class PatternTests(SynchronousTestCase):
    def test_our_matcher_is_that_of_lua(self) -> None:
        """For long texts ours runs in the place of the one in C."""
        lua = LuaRuntime(encoding=None)
        native = lua.execute(b"return function(ARGV) " + USE + b" end")
        for word, pattern in PATTERNS:
            for text in (word, (word + b" ") * (1200 // (len(word) + 1))):
                theirs = list(native(lua.table_from([text, pattern])).values())
                ours = Engine().run(Script(USE, "", [], [text, pattern], 0), Store(), lambda: None)
                self.assertEqual(ours.reply, theirs, (word, pattern))

    def test_wrong_patterns(self) -> None:
        lua = LuaRuntime(encoding=None)
        native = lua.execute(b"return function(s, p) local _, e = pcall(string.find, s, p) return e end")
        text = b"a" * 3000
        for pattern in (b".*.*[", b".*.*%", b".*.*(a", b".*.*a)", b".*.*%1", b".*.*%f", b".*.*[%", b".*.*%b"):
            use = b"local _, e = pcall(string.find, ARGV[1], ARGV[2]) return e"
            ours = Engine().run(Script(use, "", [], [text, pattern], 0), Store(), lambda: None)
            self.assertEqual(ours.reply, native(text, pattern), pattern)


class BytecodeTests(SynchronousTestCase):
    def test_tail_calls_are_gone(self) -> None:
        """An error in a function that a script calls last names the line of the script."""
        reply = run(Engine(), b"\nlocal f = function()\n return redis.call('nope') end\nreturn f()").reply
        self.assertTrue(str(reply).endswith("on @user_script:3."), reply)

    def test_what_is_no_bytecode(self) -> None:
        with self.assertRaises(Exception):  # noqa: B017
            without_tail_calls(b"short")
