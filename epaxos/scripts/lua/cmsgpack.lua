-- The library `cmsgpack`: values of Lua as MessagePack, and back.

local tools = ...
local fail = tools.fail
local host, walk, charge, expected, bad = tools.host, tools.walk, tools.charge, tools.expected, tools.bad
local type, error, select, floor, unpack, rawget = type, error, select, math.floor, unpack, rawget
local char, byte, sub, concat = string.char, string.byte, string.sub, table.concat
local raw_next = tools.raw_next

local NESTING_MAX = 16 -- a table that is deeper is packed as nil

-- -- packing

local function big_endian(number, size)
  local bytes = {}
  for i = size, 1, -1 do
    bytes[i] = char(number % 256)
    number = floor(number / 256)
  end
  return concat(bytes)
end

local function negative(number, size) -- two's complement; of eight bytes in two halves, which stay exact
  if size < 8 then return big_endian(number + 256 ^ size, size) end
  local low = number % 2 ^ 32
  return big_endian((number - low) / 2 ^ 32 % 2 ^ 32, 4) .. big_endian(low, 4)
end

local function integer(number)
  if number >= 0 then
    if number < 128 then return char(number) end
    if number < 2 ^ 8 then return "\204" .. char(number) end
    if number < 2 ^ 16 then return "\205" .. big_endian(number, 2) end
    if number < 2 ^ 32 then return "\206" .. big_endian(number, 4) end
    return "\207" .. negative(number, 8)
  end
  if number >= -32 then return char(256 + number) end
  if number >= -2 ^ 7 then return "\208" .. negative(number, 1) end
  if number >= -2 ^ 15 then return "\209" .. negative(number, 2) end
  if number >= -2 ^ 31 then return "\210" .. negative(number, 4) end
  return "\211" .. negative(number, 8)
end

local function head(count, small, small_max, tag8, tag16, tag32)
  if count <= small_max then return char(small + count) end
  if tag8 and count < 2 ^ 8 then return char(tag8, count) end
  if count < 2 ^ 16 then return char(tag16) .. big_endian(count, 2) end
  return char(tag32) .. big_endian(count, 4)
end

local function length_of(t) -- the number of elements when `t` is a list, else nil
  local count, largest = 0, 0
  for key in raw_next, t do
    if type(key) ~= "number" or key <= 0 or key ~= floor(key) then return nil end
    if key > largest then largest = key end
    count = count + 1
  end
  return count == largest and count or nil
end

local pack
local function pack_table(out, t, level)
  local n = length_of(t)
  if n then
    out[#out + 1] = head(n, 144, 15, nil, 220, 221)
    for i = 1, n do pack(out, rawget(t, i), level + 1) end
    return
  end
  local place, count = #out + 1, 0
  out[place] = ""
  for key, value in walk(t, 4) do
    pack(out, key, level + 1)
    pack(out, value, level + 1)
    count = count + 1
  end
  out[place] = head(count, 128, 15, nil, 222, 223)
end

function pack(out, value, level)
  local kind = type(value)
  if kind == "table" and level == NESTING_MAX then kind = "nil" end
  if kind == "string" then
    out[#out + 1] = head(#value, 160, 31, 217, 218, 219)
    out[#out + 1] = value
  elseif kind == "boolean" then
    out[#out + 1] = value and "\195" or "\194"
  elseif kind == "number" then
    if value == floor(value) and value >= -2 ^ 63 and value < 2 ^ 63 then
      out[#out + 1] = integer(value)
    else
      out[#out + 1] = host.msgpack_float(value)
    end
  elseif kind == "table" then
    pack_table(out, value, level)
  else
    out[#out + 1] = "\192"
  end
end

local cmsgpack = {
  _NAME = "cmsgpack", _VERSION = "lua-cmsgpack 0.4.0",
  _COPYRIGHT = "", _DESCRIPTION = "MessagePack C implementation for Lua",
}

function cmsgpack.pack(...)
  local count = select("#", ...)
  if count == 0 then bad(0, "pack", "MessagePack pack needs input.") end
  local out = {}
  for i = 1, count do pack(out, (select(i, ...)), 0) end
  return concat(out)
end

-- -- unpacking: each reader returns the value and the place behind it

local MISSING, WRONG = "Missing bytes in input.", "Bad data format in input."

local function need(text, place, count)
  if place + count - 1 > #text then fail(MISSING) end
end

local function number_at(text, place, size)
  need(text, place, size)
  local number = 0
  for i = place, place + size - 1 do number = number * 256 + byte(text, i) end
  return number, place + size
end

local signed_at
function signed_at(text, place, size)
  if size == 8 then
    local high, behind = signed_at(text, place, 4)
    local low
    low, behind = number_at(text, behind, 4)
    return high * 2 ^ 32 + low, behind
  end
  local number, behind = number_at(text, place, size)
  if number >= 2 ^ (8 * size - 1) then number = number - 2 ^ (8 * size) end
  return number, behind
end

local function text_at(text, place, size)
  need(text, place, size)
  return sub(text, place, place + size - 1), place + size
end

local value_at
local function list_at(text, place, count, level)
  local list = {}
  for i = 1, count do list[i], place = value_at(text, place, level + 1) end
  return list, place
end

local function map_at(text, place, count, level)
  local map = {}
  for _ = 1, count do
    local key, value
    key, place = value_at(text, place, level + 1)
    value, place = value_at(text, place, level + 1)
    if key == nil then fail("table index is nil") end
    if key ~= key then fail("table index is NaN") end
    map[key] = value
  end
  return map, place
end

local LEVELS = 100

function value_at(text, place, level)
  if level > LEVELS then fail(WRONG) end
  need(text, place, 1)
  charge(1)
  local tag, size = byte(text, place), nil
  place = place + 1
  if tag < 128 then return tag, place end
  if tag >= 224 then return tag - 256, place end
  if tag < 144 then return map_at(text, place, tag - 128, level) end
  if tag < 160 then return list_at(text, place, tag - 144, level) end
  if tag < 192 then return text_at(text, place, tag - 160) end
  if tag == 192 then return nil, place end
  if tag == 194 then return false, place end
  if tag == 195 then return true, place end
  if tag == 202 or tag == 203 then
    size = tag == 202 and 4 or 8
    need(text, place, size)
    return host.float_of(sub(text, place, place + size - 1)), place + size
  end
  if tag >= 204 and tag <= 207 then return number_at(text, place, 2 ^ (tag - 204)) end
  if tag >= 208 and tag <= 211 then return signed_at(text, place, 2 ^ (tag - 208)) end
  if tag >= 217 and tag <= 219 then
    size, place = number_at(text, place, 2 ^ (tag - 217))
    return text_at(text, place, size)
  end
  if tag >= 220 and tag <= 223 then
    size, place = number_at(text, place, tag % 2 == 0 and 2 or 4)
    if tag < 222 then return list_at(text, place, size, level) end
    return map_at(text, place, size, level)
  end
  fail(WRONG)
end

local function unpack_some(text, limit, offset, whole)
  local values, count, place = {}, 0, offset + 1
  while place <= #text and (limit == 0 or count < limit) do
    count = count + 1
    values[count], place = value_at(text, place, 0)
  end
  if whole then return unpack(values, 1, count) end
  return place > #text and -1 or place - 1, unpack(values, 1, count)
end

local function checked(name, ...)
  local text, limit, offset = ...
  if type(text) == "number" then text = tools.text_of(text) end
  if type(text) ~= "string" then expected("string", 1, name, ...) end
  if offset < 0 or limit < 0 then
    fail("Invalid request to unpack with offset of " .. offset .. " and limit of " .. #text .. ".")
  end
  if offset > #text then
    fail("Start offset " .. offset .. " greater than input length " .. #text .. ".")
  end
  return text, limit, offset
end

function cmsgpack.unpack(...)
  if select("#", ...) == 0 then expected("string", 1, "unpack") end
  local text = checked("unpack", (...), 0, 0)
  return unpack_some(text, 0, 0, true)
end

function cmsgpack.unpack_one(text, offset)
  text = checked("unpack_one", text, 1, offset or 0)
  return unpack_some(text, 1, offset or 0, false)
end

function cmsgpack.unpack_limit(...)
  local text, limit, offset = ...
  if type(limit) ~= "number" then expected("number", 2, "unpack_limit", ...) end
  text = checked("unpack_limit", text, limit, offset or 0)
  return unpack_some(text, limit, offset or 0, limit == 0)
end

return cmsgpack
