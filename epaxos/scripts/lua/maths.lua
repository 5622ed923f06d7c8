-- The library `math`.  Numbers by chance follow from the seed of the run.  What the C library may compute
-- differently in another version is rounded to 15 digits.

local tools = ...
local bad, expected = tools.bad, tools.expected
local floor, tonumber, format, type, select = math.floor, tonumber, string.format, type, select

local m = {}
for _, name in ipairs({ "abs", "ceil", "floor", "fmod", "frexp", "huge", "ldexp", "max", "min", "mod", "modf", "pi", "sqrt", "deg", "rad" }) do
  m[name] = math[name]
end

local function rounded(number)
  if number ~= number or number == 1 / 0 or number == -1 / 0 or number == floor(number) then return number end
  return tonumber(format("%.15g", number))
end

for _, name in ipairs({ "acos", "asin", "atan", "atan2", "cos", "cosh", "exp", "log", "log10", "pow", "sin", "sinh", "tan", "tanh" }) do
  local native = math[name]
  m[name] = function(...) return rounded(native(...)) end
end

-- A linear congruential generator of 48 bits, of which a number takes all: x = (A * x + 11) mod 2^48.
local HALF = 2 ^ 24 -- the number is kept in two halves
local chance, low, high -- the seed of the run; the halves, nil before the first number

local function seeded(number)
  number = floor(number) % 2 ^ 48
  low, high = number % HALF, floor(number / HALF)
end

local MULTIPLIER_LOW, MULTIPLIER_HIGH = 0x5DEECE66D % HALF, floor(0x5DEECE66D / HALF)

local function draw()
  if not low then seeded(chance) end
  local product = MULTIPLIER_LOW * low + 11
  local next_low = product % HALF
  high = (floor(product / HALF) + MULTIPLIER_LOW * high + MULTIPLIER_HIGH * low) % HALF
  low = next_low
  return (high * HALF + low) / 2 ^ 48
end

local function number_at(place, ...)
  local number = tonumber((select(place, ...)))
  if not number then
    local got = select("#", ...) < place and "no value" or tools.kind_of((select(place, ...)))
    bad(place, "random", "number expected, got " .. got)
  end
  return floor(number)
end

function m.random(...)
  local count = select("#", ...)
  if count == 0 then return draw() end
  if count > 2 then error("wrong number of arguments", 2) end
  local from, to = 1, number_at(1, ...)
  if count == 2 then from, to = to, number_at(2, ...) end
  if from > to then bad(count, "random", "interval is empty") end
  return floor(draw() * (to - from + 1)) + from
end

function m.randomseed(...)
  local number = tonumber((...))
  if not number then expected("number", 1, "randomseed", ...) end
  if number ~= number or number == 1 / 0 or number == -1 / 0 then number = 0 end
  seeded(number)
end

return m, function(number) chance, low, high = number, nil, nil end
