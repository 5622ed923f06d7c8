-- The library `struct`: numbers and strings as the bytes of a C struct.

local tools = ...
local fail = tools.fail
local host, bad, expected = tools.host, tools.bad, tools.expected
local type, error, select, tonumber, floor, unpack = type, error, select, tonumber, math.floor, unpack
local byte, char, sub, find, match, rep, concat, reverse =
  string.byte, string.char, string.sub, string.find, string.match, string.rep, table.concat, string.reverse

local NATIVE_ALIGN, SIZE_MAX, INTEGER_MAX = 8, 2 ^ 31 - 1, 32
local SIZES = { b = 1, B = 1, h = 2, H = 2, l = 8, L = 8, T = 8, f = 4, d = 8, x = 1 }

-- What a format says, one option after the other: its letter, size, the padding before it, and whether it is
-- little-endian.
local function options(text, name)
  local place, little, align, total = 1, true, 1, 0
  local function number(default)
    local digits = match(text, "^%d+", place)
    if not digits then return default end
    place = place + #digits
    local found = tonumber(digits)
    if found > SIZE_MAX then fail("integral size overflow") end
    return found
  end
  return function()
    while place <= #text do
      local letter = sub(text, place, place)
      place = place + 1
      if letter == ">" then little = false
      elseif letter == "<" then little = true
      elseif letter == "!" then
        align = number(NATIVE_ALIGN)
        if align == 0 or 2 ^ floor(math.log(align) / math.log(2) + 0.5) ~= align then
          fail("alignment " .. align .. " is not a power of 2")
        end
      elseif letter ~= " " then
        local size = SIZES[letter]
        if letter == "c" then size = number(1)
        elseif letter == "s" then size = 0
        elseif letter == "i" or letter == "I" then
          size = number(4)
          if size > INTEGER_MAX then
            fail("integral size " .. size .. " is larger than limit of " .. INTEGER_MAX)
          end
        elseif not size then
          bad(1, name, "invalid format option '" .. letter .. "'")
        end
        local padding = 0
        if size ~= 0 and letter ~= "c" then
          local unit = size > align and align or size
          if unit > 1 then padding = (unit - total % unit) % unit end
        end
        return letter, size, padding, little, function(taken) total = total + padding + taken end
      end
    end
  end
end

local function wrap(number, size)
  local bytes = {}
  number = number < 0 and -floor(-number) or floor(number)
  if number >= 2 ^ 63 or number < -2 ^ 63 then number = -2 ^ 63 end
  for i = 1, size do
    if i > 8 then number = 0 end -- as Redis: no sign behind the eighth byte
    local digit = number % 256
    bytes[i] = char(digit)
    number = (number - digit) / 256
  end
  return concat(bytes)
end

local struct = {}

local function text_argument(place, name, value, ...)
  if type(value) == "number" then return tools.text_of(value) end
  if type(value) ~= "string" then expected("string", place, name, ...) end
  return value
end

function struct.pack(...)
  local format = text_argument(1, "pack", (...), ...)
  local out, place = {}, 1
  for letter, size, padding, little, take in options(format, "pack") do
    out[#out + 1] = rep("\0", padding)
    if letter == "x" then
      out[#out + 1] = "\0"
    elseif letter == "s" or letter == "c" then
      place = place + 1
      local value = text_argument(place, "pack", (select(place, ...)), ...)
      if letter == "c" and size == 0 then size = #value end
      if letter == "s" then size = #value end
      if #value < size then bad(place + 1, "pack", "string too short") end
      out[#out + 1] = sub(value, 1, size)
      if letter == "s" then
        out[#out + 1] = "\0"
        size = size + 1
      end
    else
      place = place + 1
      local value = tonumber((select(place, ...)))
      if not value then expected("number", place, "pack", ..., nil) end
      local bytes
      if letter == "f" or letter == "d" then bytes = host.pack_float(value, size) else bytes = wrap(value, size) end
      out[#out + 1] = little and bytes or reverse(bytes)
    end
    take(size)
  end
  return concat(out)
end

local integer_of
function integer_of(bytes, signed)
  local number = 0
  for i = #bytes, 1, -1 do number = number * 256 + byte(bytes, i) end
  if #bytes > 8 then number = integer_of(sub(bytes, 1, 8), signed) return number end
  if signed and byte(bytes, #bytes) >= 128 then
    number = 0 -- counted up from -1, because that stays exact
    for i = #bytes, 1, -1 do number = number * 256 + (255 - byte(bytes, i)) end
    return -1 - number
  end
  return number
end

function struct.unpack(...)
  local format = text_argument(1, "unpack", (...), ...)
  local data = text_argument(2, "unpack", (select(2, ...)), ...)
  local place = tonumber((select(3, ...))) or 1
  if place < 1 then bad(3, "unpack", "offset must be 1 or greater") end
  local values, count = {}, 0
  for letter, size, padding, little, take in options(format, "unpack") do
    place = place + padding
    if not (place - 1 + size <= #data) then bad(2, "unpack", "data string too short") end -- nor with NaN
    if letter == "s" then
      local ending = find(data, "\0", place, true)
      if not ending then fail("unfinished string in data") end
      count = count + 1
      values[count] = sub(data, place, ending - 1)
      size = ending - place + 1
    elseif letter == "c" then
      if size == 0 then
        if count == 0 or type(values[count]) ~= "number" then fail("format 'c0' needs a previous size") end
        size = values[count]
        count = count - 1
        if not (size >= 0 and place - 1 + size <= #data) then bad(2, "unpack", "data string too short") end
      end
      count = count + 1
      values[count] = sub(data, place, place + size - 1)
    elseif letter ~= "x" then
      local bytes = sub(data, place, place + size - 1)
      if letter == "f" or letter == "d" then
        values[count + 1] = host.float_of(little and reverse(bytes) or bytes)
      else
        if not little then bytes = reverse(bytes) end
        values[count + 1] = integer_of(bytes, letter == "b" or letter == "h" or letter == "l" or letter == "i")
      end
      count = count + 1
    end
    take(size)
    place = place + size
  end
  values[count + 1] = place
  return unpack(values, 1, count + 1)
end

function struct.size(...)
  local format = text_argument(1, "size", (...), ...)
  local total = 0
  for letter, size, padding, _, take in options(format, "size") do
    if size == 0 then bad(1, "size", "option '" .. letter .. (letter == "c" and "0" or "") .. "' has no fixed size") end
    total = total + padding + size
    take(size)
  end
  return total
end

return struct
