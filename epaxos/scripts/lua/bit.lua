-- The library `bit`: integers of 32 bits, with their sign.

local tools = ...
local expected, host = tools.expected, tools.host
local tonumber, select, unpack = tonumber, select, unpack

local bit = {}
for _, name in ipairs({ "band", "bor", "bxor", "bnot", "bswap", "tobit", "lshift", "rshift", "arshift", "rol", "ror" }) do
  local fewest = (string.find(name, "shift") or string.sub(name, 1, 2) == "ro") and 2 or 1
  local f = host["bit_" .. name]
  bit[name] = function(...)
    if select("#", ...) < fewest then expected("number", select("#", ...) + 1, name, ...) end
    local numbers, count = {}, select("#", ...)
    for i = 1, count do
      numbers[i] = tonumber((select(i, ...))) or expected("number", i, name, ...)
    end
    return f(unpack(numbers, 1, count))
  end
end

function bit.tohex(...)
  local number, digits = ...
  if not tonumber(number) then expected("number", 1, "tohex", ...) end
  if digits ~= nil and not tonumber(digits) then expected("number", 2, "tohex", ...) end
  return host.bit_tohex(tonumber(number), tonumber(digits or 8))
end

return bit
