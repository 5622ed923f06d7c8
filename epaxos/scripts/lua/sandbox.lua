-- What a script sees, and how it is run.  Nothing of it can be changed by a script, so a run leaves nothing behind.
-- `host` has the functions of Python; `parts` the other files of this folder.

local host, parts = ...
local type, error, rawget, rawset, select, xpcall, pcall = type, error, rawget, rawset, select, xpcall, pcall
local setmetatable, setfenv, loadstring, native_tostring = setmetatable, setfenv, loadstring, tostring
local metatable_of, getinfo, clock = debug.getmetatable, debug.getinfo, os.clock
local format, sub, find, byte, concat, floor = string.format, string.sub, string.find, string.byte, table.concat, math.floor
local dump, native_sort, raw_unpack, sethook = string.dump, table.sort, unpack, debug.sethook
local native_gsub, newproxy, tonumber, raw_next = string.gsub, newproxy, tonumber, next
local memory = collectgarbage
local walk, following, keys_of = parts.order.walk, parts.order.following, parts.order.keys_of

local READONLY = "Attempt to modify a readonly table"
local OUT_OF_MEMORY = "not enough memory" -- the text of Lua's own error
local HOOK, QUICK_HOOK = 1000, 200 -- instructions between two looks at what is used
local QUICK_S, QUICK_KIB = host.quick_s, 4096 -- what a short run may take of time, and take more of memory
local HEAVY_KIB = 4096 -- in use: one instruction may work on so much that it counts once more
local UNPACKED_MAX = 8000 -- as in Lua

-- -- of one run

local used, used_max = 0, math.huge
local began, room = nil, math.huge -- of a short run: its first look at the clock, and the KiB that may be in use
local exhausted -- why the run has to end; no pcall stops it
local env, cursors, names, named, seed, resp

local function exhaust(reason)
  exhausted = exhausted or reason
  error(exhausted, 0)
end

-- The functions of Python raise nothing.  One that may not go on returns the place of a reason, and STOP_KIND.
local OK_KIND, ERROR_KIND, NULL_KIND, STOP_KIND = 1, 2, 3, 4
local STOPS = { "stopped", "memory", "work" }

local function checked(found, kind)
  if kind == STOP_KIND then exhaust(STOPS[found]) end
  return found
end

local native = host
host = {}
for name, f in raw_next, native do
  host[name] = type(f) == "userdata" and name ~= "call" and function(...) return checked(f(...)) end or f
end

local function charge(amount)
  used = used + amount
  if exhausted or used > used_max then exhaust("steps") end
end

-- A string of megabytes is compared or joined by one instruction, so a count of these bounds no time.  Nobody
-- can see where a short run ends: the clock may end it.  What a long one has used is the same everywhere.
local function look_quickly()
  charge(QUICK_HOOK)
  if used_max == math.huge then return end -- no run is under way
  if memory("count") > room then exhaust("memory") end
  if used < HOOK then return end -- the clock is not for nothing
  if not began then began = clock() elseif clock() - began > QUICK_S then exhaust("steps") end
end

local function look()
  charge(HOOK * (1 + floor(memory("count") / HEAVY_KIB)))
  if host.pause() then exhaust("stopped") end
end

if host.pause then sethook(look, "", HOOK) else sethook(look_quickly, "", QUICK_HOOK) end

-- -- errors in Lua's words

-- The line of the script that called a function of ours, as Lua puts it before an error; "" when none did.
local function where(level)
  while true do
    local info = getinfo(level, "Sl")
    if not info then return "" end
    if info.short_src == "user_script" then return "user_script:" .. info.currentline .. ": " end
    if info.short_src ~= "library" and info.what ~= "tail" then return "" end
    level = level + 1
  end
end

local function fail(text) error(where(3) .. text, 0) end

-- In a handler: an error that C has raised for one of our functions, as if C had raised it for the script.
local function relocated(reason)
  if type(reason) ~= "string" or not find(reason, "^library:%d+: ") then return reason end
  local level = 3
  while true do
    local info = getinfo(level, "S")
    if not info or info.what ~= "C" then break end
    level = level + 1
  end
  return where(level + 1) .. native_gsub(reason, "^library:%d+: ", "", 1)
end

local function bad(place, name, text)
  fail(format("bad argument #%d to '%s' (%s)", place, name, text))
end

local function expected(kind, place, name, ...)
  local got = select("#", ...) < place and "no value" or type((select(place, ...)))
  bad(place, name, format("%s expected, got %s", kind, got))
end

-- -- what can not be changed

local hidden = setmetatable({}, { __mode = "k" }) -- the table behind each proxy

local function readonly() error(READONLY, 2) end

local function protect(t)
  local proxy = newproxy(true)
  local meta = metatable_of(proxy)
  meta.__index, meta.__newindex = t, readonly
  hidden[proxy] = t
  return proxy
end

-- -- functions of Lua

local base = {}
setmetatable(base, {
  __index = function(_, name)
    error(format("Script attempted to access nonexistent global variable '%s'", native_tostring(name)), 2)
  end,
})

local function kind_of(...)
  if select("#", ...) == 0 then bad(1, "type", "value expected") end
  local value = ...
  local kind = type(value)
  if kind == "userdata" and hidden[value] then return "table" end
  return kind
end
base.type = kind_of

local function globals() -- what pairs(_G) walks over
  local all = {}
  for name, value in raw_next, base do all[name] = value end
  all._G, all.KEYS, all.ARGV = env, env.KEYS, env.ARGV
  return all
end

local function walkable(place, name, ...)
  local t = ...
  if type(t) == "table" then return t == env and globals() or t end
  return hidden[t] or expected("table", place, name, ...)
end

function base.pairs(...)
  return walk(walkable(1, "pairs", ...), 2), (...), nil
end

function base.next(...)
  local t = walkable(1, "next", ...)
  cursors = cursors or {}
  return following(cursors, t, (select(2, ...)), 2)
end

-- A name that is the same at every replica: the first object that is named is 1.
local function name_of(value)
  names = names or {}
  local number = names[value]
  if not number then
    named = named + 1
    number = named
    names[value] = number
  end
  return format("%s: 0x%012x", kind_of(value), number)
end

local function text_of(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" or kind == "nil" or kind == "boolean" then return native_tostring(value) end
  if value == parts.null then return "userdata: (nil)" end
  local meta = metatable_of(value)
  if kind == "table" and meta and rawget(meta, "__tostring") then return native_tostring(value) end
  return name_of(value)
end

function base.tostring(...)
  if select("#", ...) == 0 then bad(1, "tostring", "value expected") end
  return (text_of((...)))
end

function base.rawset(...)
  local t, key, value = ...
  if type(t) ~= "table" then
    if hidden[t] then error(READONLY, 0) end
    expected("table", 1, "rawset", ...)
  end
  if t == env then error(READONLY, 0) end
  return rawset(t, key, value)
end

function base.rawget(...)
  local t, key = ...
  if t == env then
    local found = rawget(base, key)
    if found == nil and (key == "KEYS" or key == "ARGV" or key == "_G") then found = env[key] end
    return found
  end
  if type(t) ~= "table" then t = hidden[t] or expected("table", 1, "rawget", ...) end
  return rawget(t, key)
end

function base.setmetatable(...)
  local t, meta = ...
  if type(t) ~= "table" then
    if hidden[t] then error(READONLY, 0) end
    expected("table", 1, "setmetatable", ...)
  end
  if t == env then error(READONLY, 0) end
  if meta ~= nil and type(meta) ~= "table" then bad(2, "setmetatable", "nil or table expected") end
  local old = metatable_of(t)
  if old and rawget(old, "__metatable") ~= nil then error("cannot change a protected metatable", 2) end
  return setmetatable(t, meta)
end

local of_strings -- what a script sees of the metatable of strings
function base.getmetatable(...)
  if select("#", ...) == 0 then bad(1, "getmetatable", "value expected") end
  local value = ...
  if type(value) == "string" then return of_strings end
  if type(value) ~= "table" or value == env then return nil end
  local meta = metatable_of(value)
  if not meta then return nil end
  local shown = rawget(meta, "__metatable")
  if shown ~= nil then return shown end
  return meta
end

-- Whether it is an object of Python, which no script may have.
local function is_foreign(value)
  return type(value) == "userdata" and not hidden[value] and value ~= parts.null
end

-- pcall gives the text of an error of redis.call, as Redis does.  It stops no run that has to end.
local function caught(ok, ...)
  if exhausted then error(exhausted, 0) end
  if ok then return true, ... end
  local reason = ...
  if is_foreign(reason) then exhaust("stopped") end
  if reason == OUT_OF_MEMORY then exhaust("memory") end
  return false, reason
end

local function pcall_caught(ok, ...)
  if ok and not exhausted then return true, ... end
  local _, reason = caught(ok, ...)
  if type(reason) == "table" and type(rawget(reason, "err")) == "string" then reason = rawget(reason, "err") end
  return false, reason
end

function base.pcall(...)
  local count = select("#", ...)
  if count == 0 then bad(1, "pcall", "value expected") end
  local f = ...
  if count > 1 then
    local given = { select(2, ...) }
    return pcall_caught(xpcall(function() return f(raw_unpack(given, 1, count - 1)) end, relocated))
  end
  return pcall_caught(xpcall(f, relocated))
end

function base.xpcall(...)
  local f, handler = ...
  if select("#", ...) < 2 then bad(2, "xpcall", "value expected") end
  return caught(xpcall(f, function(reason)
    if exhausted or is_foreign(reason) then return reason end
    return handler(relocated(reason))
  end))
end

local function compile(text, name)
  if byte(text) == 27 then return nil, "bytecode is not loaded" end
  local f, reason = loadstring(text, name)
  if f then f, reason = loadstring(host.without_tail_calls(dump(f)), name) end
  if not f and reason == OUT_OF_MEMORY then exhaust("memory") end
  if f then return f end
  return nil, reason
end

function base.loadstring(text, name)
  if type(text) ~= "string" then expected("string", 1, "loadstring", text) end
  charge(#text)
  local f, reason = compile(text, type(name) == "string" and name or text)
  if not f then return nil, reason end
  return setfenv(f, env)
end

function base.load(f, name)
  if type(f) ~= "function" then expected("function", 1, "load", f) end
  local pieces, count = {}, 0
  while true do
    local ok, piece = caught(pcall(f))
    if not ok then return nil, piece end
    if piece == nil or piece == "" then break end
    if type(piece) ~= "string" then return nil, "reader function must return a string" end
    count = count + 1
    pieces[count] = piece
  end
  return base.loadstring(concat(pieces), type(name) == "string" and name or "=(load)")
end

function base.collectgarbage() return 0 end
function base.gcinfo() return 0, 0 end

local function bound(place, default, ...)
  local value = select(place, ...)
  if value == nil then return default end
  local number = (type(value) == "number" or type(value) == "string") and tonumber(value)
  return number or expected("number", place, "unpack", ...)
end

-- Lua's own counts in 32 bits, and writes behind its stack where that overflows.
function base.unpack(...)
  local t = ...
  if type(t) ~= "table" then t = hidden[t] or expected("table", 1, "unpack", ...) end
  local first, last = bound(2, 1, ...), bound(3, nil, ...) or #t
  if first > last then return end
  if not (first >= -2 ^ 31 and last < 2 ^ 31 and last - first < UNPACKED_MAX) then fail("too many results to unpack") end
  return raw_unpack(t, first, last)
end

base.assert, base.error, base.ipairs, base.rawequal = assert, error, ipairs, rawequal
base.select, base.tonumber, base._VERSION = select, tonumber, _VERSION

-- -- the libraries

local tools = {
  bad = bad, expected = expected, charge = charge, exhaust = exhaust, text_of = text_of, kind_of = kind_of,
  walk = walk, keys_of = keys_of, host = host, protected = protect, order = parts.order, raw_next = raw_next,
  fail = fail, patterns = parts.patterns,
}
local strings = parts.strings(tools)
metatable_of("").__index = strings
base.string = protect(strings)
of_strings = protect({ __index = base.string })
base.table = protect(parts.tables(tools))
local maths, seed_maths = parts.maths(tools)
base.math = protect(maths)
base.bit = protect(parts.bit(tools))
base.struct = protect(parts.struct(tools))
base.cmsgpack = protect(parts.cmsgpack(tools))
local json, reset_json = parts.cjson(tools)
parts.null = json.null
base.cjson = protect(json)

-- -- redis

local redis = {
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
  REDIS_VERSION = host.version, REDIS_VERSION_NUM = host.version_number,
}

local call, call_memory = host.call, host.call_memory -- KiB that may be in use when a command is called

local function failure(text) return { err = text, ignore_error_stats_update = true } end

function redis.call(...)
  if memory("count") > call_memory then exhaust("memory") end
  local reply, kind = call(...)
  if kind == nil then return reply end
  if kind == OK_KIND then return { ok = reply } end
  if kind == ERROR_KIND then error(failure(reply), 0) end
  if kind == NULL_KIND then
    if resp == 3 then return nil end
    return false
  end
  exhaust(STOPS[reply])
end

function redis.pcall(...)
  if memory("count") > call_memory then exhaust("memory") end
  local reply, kind = call(...)
  if kind == nil then return reply end
  if kind == OK_KIND then return { ok = reply } end
  if kind == ERROR_KIND then return failure(reply) end
  if kind == NULL_KIND then
    if resp == 3 then return nil end
    return false
  end
  exhaust(STOPS[reply])
end

local function complain(text) error({ err = "ERR " .. text }, 0) end

local function one_text(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then return nil end
  return text
end

function redis.status_reply(...)
  local text = one_text(...)
  if not text then return { err = "ERR wrong number or type of arguments" } end
  return { ok = text }
end

function redis.error_reply(...)
  local text = one_text(...)
  if not text then return { err = "ERR wrong number or type of arguments" } end
  if byte(text) == 45 then return { err = sub(text, 2) } end -- it begins with "-"
  if find(text, " ", 1, true) then return { err = text } end
  return { err = "ERR " .. text }
end

function redis.log(...)
  local level = ...
  local count = select("#", ...)
  if count < 2 then complain("redis.log() requires two arguments or more.") end
  if type(level) ~= "number" then complain("First argument must be a number (log level).") end
  if level < 0 or level > 3 then complain("Invalid debug level.") end
  local words = {}
  for i = 2, count do
    local word = select(i, ...)
    words[i - 1] = (type(word) == "string" or type(word) == "number") and word or ""
  end
  host.log(level, concat(words, " "))
end

function redis.sha1hex(...)
  if select("#", ...) ~= 1 then complain("wrong number of arguments") end
  local value = ...
  local text = (type(value) == "string" or type(value) == "number") and native_tostring(value) or ""
  charge(1 + floor(#text / 50))
  return host.sha1hex(text)
end

function redis.setresp(...)
  local version = ...
  if select("#", ...) ~= 1 then complain("redis.setresp() requires one argument.") end
  if version ~= 2 and version ~= 3 then complain("RESP version must be 2 or 3.") end
  resp = version
end

function redis.set_repl(...)
  local flags = ...
  if select("#", ...) ~= 1 then complain("redis.set_repl() requires two arguments.") end
  if type(flags) ~= "number" or flags < 0 or flags > 3 then
    complain("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
  end
end

function redis.replicate_commands() return true end
base.redis = protect(redis)

-- -- the value that a script returns

local FLAT_MAX = 200 -- elements of a reply that are handed over one by one
local DEPTH_MAX = 128

local function one_line(text)
  return (native_gsub(text, "[\r\n]", " "))
end

local function integer(number)
  if number ~= number or number >= 2 ^ 63 or number < -2 ^ 63 then return "-9223372036854775808" end
  return format("%.0f", number < 0 and -floor(-number) or floor(number))
end

local encode
local function encode_list(out, list, n, depth)
  out[#out + 1] = "*" .. n .. "\r\n"
  for i = 1, n do encode(out, list[i], depth + 1) end
end

local function special(value) -- what a table stands for that is no list
  local text = rawget(value, "err")
  if type(text) == "string" then return "-" .. one_line(text) .. "\r\n" end
  text = rawget(value, "ok")
  if type(text) == "string" then return "-\1" .. one_line(text) .. "\r\n" end
  text = rawget(value, "double")
  if type(text) == "number" then
    text = format("%.17g", text)
    return "$" .. #text .. "\r\n" .. text .. "\r\n"
  end
  text = rawget(value, "big_number")
  if type(text) == "string" then return "$" .. #text .. "\r\n" .. one_line(text) .. "\r\n" end
  local verbatim = rawget(value, "verbatim_string")
  if type(verbatim) == "table" then
    text = rawget(verbatim, "string")
    if type(text) == "string" and type(rawget(verbatim, "format")) == "string" then
      return "$" .. #text .. "\r\n" .. text .. "\r\n"
    end
  end
end

local function list_of(value) -- the elements that a table stands for
  local list, n = {}, 0
  local map, set = rawget(value, "map"), rawget(value, "set")
  if type(map) == "table" then
    for key, element in walk(map, 1) do
      list[n + 1], list[n + 2] = key, element
      n = n + 2
    end
  elseif type(set) == "table" then
    for key in walk(set, 1) do
      n = n + 1
      list[n] = key
    end
  else
    while true do
      local element = rawget(value, n + 1)
      if element == nil then break end
      n = n + 1
      list[n] = element
    end
  end
  return list, n
end

function encode(out, value, depth)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = "$" .. #value .. "\r\n" .. value .. "\r\n"
  elseif kind == "number" then
    out[#out + 1] = ":" .. integer(value) .. "\r\n"
  elseif kind == "table" then
    if depth > DEPTH_MAX then complain("reached lua stack limit") end
    local text = special(value)
    if text then
      out[#out + 1] = text
    else
      local list, n = list_of(value)
      encode_list(out, list, n, depth)
    end
  else
    out[#out + 1] = value == true and ":1\r\n" or "$-1\r\n"
  end
end

-- A plain value as it is; a list of plain values behind LIST; anything else in the Redis protocol behind TEXT.
local LIST, TEXT, FAILED, ENDED = 1, 2, 3, 4

local function result(value)
  local kind = type(value)
  if kind == "string" or kind == "boolean" or kind == "number" then return value end
  if hidden[value] then return TEXT, "*0\r\n" end
  if kind ~= "table" then return nil end
  if special(value) == nil then
    local list, n = list_of(value)
    local flat = n > 0 and n <= FLAT_MAX
    for i = 1, flat and n or 0 do
      local element = type(list[i])
      if element ~= "string" and element ~= "number" and element ~= "boolean" then
        flat = false
        break
      end
    end
    if flat then return LIST, raw_unpack(list, 1, n) end
  end
  local out = {}
  encode(out, value, 1)
  return TEXT, concat(out)
end

-- -- a run

local function line_of()
  local level = 3
  while true do
    local info = getinfo(level, "Sl")
    if not info then return nil end
    level = level + 1
    if info.short_src == "user_script" and info.currentline > 0 then return info.currentline end
  end
end

local Failure = {} -- the metatable of what the handler returns

local function on_error(reason)
  if exhausted then return reason end
  if is_foreign(reason) then exhausted = "stopped" return nil end
  local text
  reason = relocated(reason)
  if type(reason) == "table" then
    text = rawget(reason, "err")
    if type(text) ~= "string" then text = "ERR " .. text_of(reason) end
  else
    text = "ERR " .. text_of(reason)
  end
  return setmetatable({ text, line_of() }, Failure)
end

-- The run is over: from here on the hook raises nothing.
local function settle()
  local why = exhausted
  used, used_max, exhausted, room = 0, math.huge, nil, math.huge
  return why
end

local function failed(reason, why)
  if why then return ENDED, why end
  if reason == OUT_OF_MEMORY then return ENDED, "memory" end
  if metatable_of(reason) ~= Failure then return FAILED, one_line("ERR " .. native_tostring(reason)), 0 end
  return FAILED, one_line(reason[1]), reason[2] or 0
end

local function delivered(ok, ...)
  local why = settle()
  if ok and not why then return ... end
  local reason = ...
  if not why and type(reason) == "table" then return FAILED, reason.err, 0 end
  return failed(reason, why)
end

local function compiled(ok, ...)
  local why = settle()
  if ok then return ... end
  error(why or (...), 0)
end

local function protected_table() error(READONLY, 2) end

local api = {}
function api.compile(text)
  settle()
  return compiled(pcall(compile, text, "@user_script"))
end

-- Returns what `result` does; or FAILED, the text of the error, its line or 0; or ENDED, what is exhausted.
function api.run(f, keys, arguments, chance, limit)
  if "a" < "B" or find("\228", "%a") then error("locale", 0) end -- then strings are not what they are elsewhere
  used, used_max, exhausted, resp, named = 0, limit, nil, 2, 0
  cursors, names = nil, nil
  began, room = nil, memory("count") + QUICK_KIB
  seed_maths(chance)
  reset_json()
  local variables = setmetatable({ KEYS = keys, ARGV = arguments }, { __index = base })
  env = setmetatable({}, { __index = variables, __newindex = protected_table })
  variables._G = env
  setfenv(f, env)
  local ok, value = xpcall(f, on_error)
  if ok and not exhausted then return delivered(pcall(result, value)) end
  return failed(value, settle())
end

function api.used() return used end

return api
