-- The library `string`.  What may take long for its length is bounded, or runs step by step.

local tools = ...
local bad, expected, charge, exhaust, fail = tools.bad, tools.expected, tools.charge, tools.exhaust, tools.fail
local patterns = tools.patterns(tools)
local type, select, tonumber, unpack, floor, rawget = type, select, tonumber, unpack, math.floor, rawget
local find, match, gmatch, gsub = string.find, string.match, string.gmatch, string.gsub
local rep, sub, byte, concat, format = string.rep, string.sub, string.byte, table.concat, string.format

local NATIVE_COST_MAX, LINEAR_COST_MAX = 4e6, 1e8 -- characters that the matcher in C may look at
local PER_STEP, PLAIN_PER_STEP = 200, 5000 -- of these in the time of one instruction, and of those compared at once
local PLAIN_COST_MAX = 1e9
local BYTES_MAX = 64 * 1024 * 1024
local REPEATED_PER_STEP = 50 -- bytes, or repetitions of nothing

local s = {}
for _, name in ipairs({ "byte", "char", "format", "len", "lower", "reverse", "sub", "upper" }) do s[name] = string[name] end

function s.rep(...)
  local text, count = ...
  count = tonumber(count)
  if (type(text) == "string" or type(text) == "number") and count then
    local size = #tools.text_of(text)
    if size * count > BYTES_MAX then exhaust("memory") end
    local cost = floor(math.max(size, 1) * count / REPEATED_PER_STEP)
    if cost > 0 then charge(cost) end
  end
  return rep(...)
end

-- Whether the matcher in C may do it.
local function is_quick(text, pattern, anchored)
  if type(text) == "number" then text = tools.text_of(text) end
  if type(text) ~= "string" or type(pattern) ~= "string" then return true end -- C complains, or takes a number
  local cost, degree = patterns.cost(#text, pattern, anchored)
  if not cost or cost > (degree <= 1 and LINEAR_COST_MAX or NATIVE_COST_MAX) then return false end
  if cost >= PER_STEP then charge(floor(cost / PER_STEP)) end
  return true
end

local function begin_of(text, init)
  init = floor(tonumber(init) or 1)
  if init < 0 then init = math.max(#text + init + 1, 1) elseif init == 0 then init = 1 end
  return init
end

local SPECIALS = "[%^%$%*%+%?%.%(%[%%%-]"

function s.find(...)
  local text, pattern, init, plain = ...
  if type(text) == "string" and type(pattern) == "string" and (plain or not find(pattern, SPECIALS)) then
    local cost = #text * #pattern
    if cost > PLAIN_COST_MAX then exhaust("steps") end
    if cost >= PLAIN_PER_STEP then charge(floor(cost / PLAIN_PER_STEP)) end
    return find(...)
  end
  if is_quick(text, pattern, true) then return find(...) end
  text = tools.text_of(text)
  local from, behind, captures = patterns.search(text, pattern, begin_of(text, init))
  if not from then return nil end
  local list, n = patterns.captures(text, from, behind, captures, false)
  return from, behind - 1, unpack(list, 1, n)
end

function s.match(...)
  local text, pattern, init = ...
  if is_quick(text, pattern, true) then return match(...) end
  text = tools.text_of(text)
  local from, behind, captures = patterns.search(text, pattern, begin_of(text, init))
  if not from then return nil end
  local list, n = patterns.captures(text, from, behind, captures, true)
  return unpack(list, 1, n)
end

function s.gmatch(...)
  local text, pattern = ...
  if is_quick(text, pattern, false) then return gmatch(...) end
  text = tools.text_of(text)
  local place = 1
  local literal = byte(pattern) == 94 and "%" .. pattern or pattern -- "^" means nothing special here
  return function()
    if place > #text + 1 then return nil end
    local from, behind, captures = patterns.search(text, literal, place)
    if not from then
      place = #text + 2
      return nil
    end
    place = behind == from and behind + 1 or behind
    local list, n = patterns.captures(text, from, behind, captures, true)
    return unpack(list, 1, n)
  end
end
s.gfind = s.gmatch

local function expanded(template, text, from, behind, list, n)
  return (gsub(template, "%%(.?)", function(letter)
    if not find(letter, "^%d") then return letter end
    if letter == "0" then return sub(text, from, behind - 1) end
    local number = tonumber(letter)
    if number > n then fail("invalid capture index") end
    return list[number]
  end))
end

local function replacement(kind, by, text, from, behind, captures)
  local list, n = patterns.captures(text, from, behind, captures, true)
  local found
  if kind == "function" then
    found = by(unpack(list, 1, n))
  elseif kind == "table" then
    found = by[list[1]]
  else
    return expanded(by, text, from, behind, list, n)
  end
  if not found then return sub(text, from, behind - 1) end
  if type(found) ~= "string" and type(found) ~= "number" then
    fail(format("invalid replacement value (a %s)", tools.kind_of(found)))
  end
  return found
end

function s.gsub(...)
  local text, pattern, by, count = ...
  if is_quick(text, pattern, true) then return gsub(...) end
  text = tools.text_of(text)
  local kind = type(by)
  if kind == "number" then by, kind = tools.text_of(by), "string" end
  if kind ~= "string" and kind ~= "table" and kind ~= "function" then
    bad(3, "gsub", "string/function/table expected")
  end
  local limit = tonumber(count) or #text + 1
  local anchored = byte(pattern) == 94
  local pieces, n, place, done = {}, 0, 1, 0
  while done < limit do
    local from, behind, captures = patterns.search(text, pattern, place)
    if from then
      n = n + 1
      pieces[n] = sub(text, place, from - 1)
      n, done = n + 1, done + 1
      pieces[n] = replacement(kind, by, text, from, behind, captures)
    end
    if not from then break end
    if behind > from then
      place = behind
    elseif from <= #text then
      n, place = n + 1, from + 1
      pieces[n] = sub(text, from, from)
    else
      place = from
      break
    end
    if anchored or place > #text + 1 then break end
  end
  pieces[n + 1] = sub(text, place)
  return concat(pieces), done
end

return s
