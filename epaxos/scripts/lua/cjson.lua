-- The library `cjson`: values of Lua as JSON, and back.  Its settings last for one run.

local tools = ...
local fail = tools.fail
local walk, kind_of, expected, bad = tools.walk, tools.kind_of, tools.expected, tools.bad
local type, error, tonumber, floor, rawget, select, setmetatable = type, error, tonumber, math.floor, rawget, select, setmetatable
local format, byte, char, sub, find, gsub, match, concat =
  string.format, string.byte, string.char, string.sub, string.find, string.gsub, string.match, table.concat
local raw_next = tools.raw_next

local null = newproxy()

local DEFAULTS = {
  sparse_convert = false, sparse_ratio = 2, sparse_safe = 10, encode_depth = 1000, decode_depth = 1000,
  precision = 14, encode_invalid = false, decode_invalid = true, keep_buffer = true,
}
local settings = DEFAULTS

local function change(name, value)
  if settings == DEFAULTS then settings = setmetatable({}, { __index = DEFAULTS }) end
  settings[name] = value
end

-- -- encoding

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\b"] = "\\b", ["\t"] = "\\t", ["\n"] = "\\n", ["\f"] = "\\f",
  ["\r"] = "\\r", ["\127"] = "\\u007f",
}
for i = 0, 31 do ESCAPES[char(i)] = ESCAPES[char(i)] or format("\\u%04x", i) end

local function quoted(text)
  if #text > 50 then tools.charge(floor(#text / 50)) end
  if find(text, '[%c"\\/\127%z]') then text = gsub(text, '[%c"\\/\127%z]', ESCAPES) end
  return '"' .. text .. '"'
end

local function number_text(number)
  if number ~= number or number == 1 / 0 or number == -1 / 0 then
    if not settings.encode_invalid then fail("Cannot serialise number: must not be NaN or Inf") end
    if settings.encode_invalid == "null" then return "null" end
    return number ~= number and "nan" or number > 0 and "inf" or "-inf"
  end
  return format("%." .. settings.precision .. "g", number)
end

-- The length of a list; -1 for a table that becomes an object.
local function length_of(t)
  local largest, count = 0, 0
  for key in raw_next, t do
    if type(key) ~= "number" or key < 1 or key ~= floor(key) then return -1 end
    if key > largest then largest = key end
    count = count + 1
  end
  local s = settings
  if s.sparse_ratio > 0 and largest > count * s.sparse_ratio and largest > s.sparse_safe then
    if not s.sparse_convert then fail("Cannot serialise table: excessively sparse array") end
    return -1
  end
  return largest
end

local encode
local function encode_object(out, t, depth)
  out[#out + 1] = "{"
  local first = true
  for key, value in walk(t, 5) do
    if not first then out[#out + 1] = "," end
    first = false
    local kind = type(key)
    if kind == "string" then
      out[#out + 1] = quoted(key) .. ":"
    elseif kind == "number" then
      out[#out + 1] = '"' .. number_text(key) .. '":'
    else
      fail("Cannot serialise " .. kind .. ": table key must be a number or string")
    end
    encode(out, value, depth)
  end
  out[#out + 1] = "}"
end

function encode(out, value, depth)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = quoted(value)
  elseif kind == "number" then
    out[#out + 1] = number_text(value)
  elseif kind == "boolean" then
    out[#out + 1] = value and "true" or "false"
  elseif kind == "table" then
    depth = depth + 1
    if depth > settings.encode_depth then
      fail(format("Cannot serialise, excessive nesting (%d)", depth))
    end
    local n = length_of(value)
    if n > 0 then
      out[#out + 1] = "["
      for i = 1, n do
        if i > 1 then out[#out + 1] = "," end
        encode(out, rawget(value, i), depth)
      end
      out[#out + 1] = "]"
    else
      encode_object(out, value, depth)
    end
  elseif value == nil or value == null then
    out[#out + 1] = "null"
  else
    fail("Cannot serialise " .. kind_of(value) .. ": type not supported")
  end
end

-- -- decoding

local NAMES = { ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END", [":"] = "T_COLON", [","] = "T_COMMA" }
local WORDS = { ["true"] = true, ["false"] = false, ["null"] = null }

local function complain(what, found, place)
  fail(format("Expected %s but found %s at character %d", what, found, place))
end

local function utf8(code)
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xC0 + floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end
  return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

local UNESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", t = "\t", n = "\n", f = "\f", r = "\r" }

local function unicode_at(text, place) -- of \uXXXX, and of two of them for one character; nil where it is wrong
  local code = tonumber(match(text, "^\\u(%x%x%x%x)", place) or "", 16)
  if not code or code >= 0xDC00 and code < 0xE000 then return nil end
  if code < 0xD800 or code >= 0xDC00 then return utf8(code), place + 6 end
  local second = tonumber(match(text, "^\\u(%x%x%x%x)", place + 6) or "", 16)
  if not second or second < 0xDC00 or second >= 0xE000 then return nil end
  return utf8(0x10000 + (code - 0xD800) * 1024 + second - 0xDC00), place + 12
end

-- The string that begins behind the quote at `place`, and the place behind its end.
local function string_at(text, place, what)
  local start, pieces = place, nil
  place = place + 1
  while true do
    local ending = find(text, '[%c"\\%z]', place)
    if not ending then complain(what, "unexpected end of string", #text + 1) end
    local letter = sub(text, ending, ending)
    if letter == '"' then
      if not pieces then return sub(text, place, ending - 1), ending + 1 end
      pieces[#pieces + 1] = sub(text, place, ending - 1)
      return concat(pieces), ending + 1
    end
    pieces = pieces or {}
    pieces[#pieces + 1] = sub(text, place, ending - 1)
    if letter ~= "\\" then
      if letter == "\127" then
        pieces[#pieces + 1], place = letter, ending + 1
      elseif letter == "\0" and ending > #text then
        complain(what, "unexpected end of string", ending)
      else
        pieces[#pieces + 1], place = letter, ending + 1
      end
    else
      local escaped = sub(text, ending + 1, ending + 1)
      if escaped == "u" then
        local found, behind = unicode_at(text, ending)
        if not found then complain(what, "invalid unicode escape code", ending) end
        pieces[#pieces + 1], place = found, behind
      elseif UNESCAPES[escaped] then
        pieces[#pieces + 1], place = UNESCAPES[escaped], ending + 2
      else
        complain(what, "invalid escape code", ending)
      end
    end
  end
end

local function number_at(text, place)
  local digits = match(text, "^[%+%-]?0[xX]%x+", place)
  if not digits then
    digits = match(text, "^[%+%-]?%d+%.?%d*", place)
    local exponent = digits and match(text, "^[eE][%+%-]?%d+", place + #digits)
    if exponent then digits = digits .. exponent end
  end
  if digits then
    if sub(digits, 1, 1) == "+" then return tonumber(sub(digits, 2)), place + #digits end
    return tonumber(digits), place + #digits
  end
  if not settings.decode_invalid then return nil end
  local word = match(text, "^%-?%a+", place)
  local lower = word and string.lower(word)
  if lower == "inf" or lower == "infinity" then return 1 / 0, place + #word end
  if lower == "-inf" or lower == "-infinity" then return -1 / 0, place + #word end
  if lower == "nan" or lower == "-nan" then return -(0 / 0), place + #word end
end

local function blank(text, place) return find(text, "[^ \t\n\r]", place) or #text + 1 end

-- What stands at `place`, for an error.
local function name_at(text, place)
  local letter = sub(text, place, place)
  if letter == "" then return "T_END" end
  if NAMES[letter] then return NAMES[letter] end
  if letter == '"' then return "T_STRING" end
  local word = match(text, "^%l+", place)
  if word == "true" or word == "false" then return "T_BOOLEAN" end
  if word == "null" then return "T_NULL" end
  if number_at(text, place) then return "T_NUMBER" end
  if match(letter, "[%+%-%d]") then return "invalid number" end
  return "invalid token"
end

local value_at
local function deeper(depth, place)
  if depth + 1 > settings.decode_depth then
    fail(format("Found too many nested data structures (%d) at character %d", depth + 1, place))
  end
  return depth + 1
end

local function list_at(text, place, depth)
  local list, n = {}, 0
  place = blank(text, place)
  if sub(text, place, place) == "]" then return list, place + 1 end
  while true do
    n = n + 1
    list[n], place = value_at(text, place, depth)
    place = blank(text, place)
    local letter = byte(text, place)
    if letter == 93 then return list, place + 1 end -- "]"
    if letter ~= 44 then complain("comma or array end", name_at(text, place), place) end
    place = blank(text, place + 1)
  end
end

local function object_at(text, place, depth)
  local object = {}
  place = blank(text, place)
  if sub(text, place, place) == "}" then return object, place + 1 end
  while true do
    if byte(text, place) ~= 34 then complain("object key string", name_at(text, place), place) end
    local key
    key, place = string_at(text, place, "object key string")
    place = blank(text, place)
    if byte(text, place) ~= 58 then complain("colon", name_at(text, place), place) end
    object[key], place = value_at(text, blank(text, place + 1), depth)
    place = blank(text, place)
    local letter = byte(text, place)
    if letter == 125 then return object, place + 1 end -- "}"
    if letter ~= 44 then complain("comma or object end", name_at(text, place), place) end
    place = blank(text, place + 1)
  end
end

function value_at(text, place, depth)
  local letter = byte(text, place)
  if letter == 34 then return string_at(text, place, "value") end
  if letter == 123 then return object_at(text, place + 1, deeper(depth, place)) end
  if letter == 91 then return list_at(text, place + 1, deeper(depth, place)) end
  local word = match(text, "^%l+", place)
  if word then
    for name, value in raw_next, WORDS do
      if sub(word, 1, #name) == name then return value, place + #name end
    end
  end
  local number, behind = number_at(text, place)
  if number then return number, behind end
  complain("value", name_at(text, place), place)
end

local json = { _NAME = "cjson", _VERSION = "2.1.0", null = null }

function json.encode(...)
  if select("#", ...) ~= 1 then bad(1, "encode", "expected 1 argument") end
  local out = {}
  encode(out, (...), 0)
  return concat(out)
end

function json.decode(...)
  local text = ...
  if select("#", ...) ~= 1 then bad(1, "decode", "expected 1 argument") end
  if type(text) == "number" then text = tools.text_of(text) end
  if type(text) ~= "string" then expected("string", 1, "decode", ...) end
  if byte(text, 1) == 0 or byte(text, 2) == 0 then fail("JSON parser does not support UTF-16 or UTF-32") end
  tools.charge(floor(#text / 50))
  local value, place = value_at(text, blank(text, 1), 0)
  place = blank(text, place)
  if place <= #text then complain("the end", name_at(text, place), place) end
  return value
end

-- -- settings

local function bounded(name, key, least, most)
  json[name] = function(...)
    local number = ...
    if number ~= nil then
      number = tonumber(number)
      if not number then expected("number", 1, name, ...) end
      if number < least or number > most or number ~= floor(number) then
        bad(1, name, format("expected integer between %d and %d", least, most))
      end
      change(key, number)
    end
    return settings[key]
  end
end

bounded("encode_max_depth", "encode_depth", 1, 1000)
bounded("decode_max_depth", "decode_depth", 1, 1000)
bounded("encode_number_precision", "precision", 1, 14)

local function switch(name, key)
  json[name] = function(...)
    local value = ...
    if value ~= nil then change(key, value) end
    return settings[key]
  end
end

switch("encode_keep_buffer", "keep_buffer")
switch("encode_invalid_numbers", "encode_invalid")
switch("decode_invalid_numbers", "decode_invalid")

function json.encode_sparse_array(convert, ratio, safe)
  if convert ~= nil then change("sparse_convert", convert) end
  if ratio ~= nil then change("sparse_ratio", tonumber(ratio) or 2) end
  if safe ~= nil then change("sparse_safe", tonumber(safe) or 10) end
  return settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe
end

function json.new() return tools.protected(json) end

return json, function() settings = DEFAULTS end
