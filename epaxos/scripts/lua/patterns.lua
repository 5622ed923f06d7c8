-- Patterns as Lua 5.1 has them, matched in Lua.  The matcher in C stops for nothing, and takes a time that is a
-- power of the length for some patterns; here every step counts.  Which of the two runs does not change a result.

local tools = ...
local fail = tools.fail
local byte, sub, find, char = string.byte, string.sub, string.find, string.char

local POSITION, OPEN = -1, -2 -- lengths of captures
local CAPTURES_MAX = 32
local PERCENT, DOT, SET, CARET, DASH, END_OF_SET = 37, 46, 91, 94, 45, 93

-- Which bytes each class matches, for all that C's isalpha and the others say.
local CLASSES = {}
for letter in string.gmatch("acdlpsuwxz", ".") do
  local upper = string.upper(letter)
  CLASSES[byte(letter)], CLASSES[byte(upper)] = {}, {}
  for code = 0, 255 do
    local is = find(char(code), "%" .. letter) ~= nil
    CLASSES[byte(letter)][code], CLASSES[byte(upper)][code] = is, not is
  end
end

local function class_end(p, j)
  local letter = byte(p, j)
  if not letter then fail("malformed pattern (ends with '%')") end
  if letter == PERCENT then
    if j + 1 > #p then fail("malformed pattern (ends with '%')") end
    return j + 2
  end
  if letter ~= SET then return j + 1 end
  j = j + 1
  if byte(p, j) == CARET then j = j + 1 end
  repeat
    letter = byte(p, j)
    if not letter then fail("malformed pattern (missing ']')") end
    j = j + 1
    if letter == PERCENT then j = j + 1 end
  until byte(p, j) == END_OF_SET
  return j + 1
end

local function is_in_class(code, letter)
  local class = CLASSES[letter]
  if class then return class[code] end
  return code == letter
end

local function is_in_set(code, p, j, last) -- `j` at "[", `last` at "]"
  local wanted = true
  j = j + 1
  if byte(p, j) == CARET then wanted, j = false, j + 1 end
  while j < last do
    local letter = byte(p, j)
    if letter == PERCENT then
      if is_in_class(code, byte(p, j + 1)) then return wanted end
      j = j + 2
    elseif byte(p, j + 1) == DASH and j + 2 < last then
      if letter <= code and code <= byte(p, j + 2) then return wanted end
      j = j + 3
    else
      if letter == code then return wanted end
      j = j + 1
    end
  end
  return not wanted
end

local function is_single(s, i, p, j, behind)
  local code = byte(s, i)
  if not code then return false end
  local letter = byte(p, j)
  if letter == DOT then return true end
  if letter == PERCENT then return is_in_class(code, byte(p, j + 1)) end
  if letter == SET then return is_in_set(code, p, j, behind - 1) end
  return letter == code
end

local match

local function balanced(s, i, p, j)
  local first, second = byte(p, j, j + 1)
  if not second then fail("unbalanced pattern") end
  if byte(s, i) ~= first then return nil end
  local depth = 1
  for at = i + 1, #s do
    local code = byte(s, at)
    if code == second then
      depth = depth - 1
      if depth == 0 then return at + 1 end
    elseif code == first then
      depth = depth + 1
    end
  end
end

local function longest(s, i, p, j, behind, captures)
  local count = 0
  while is_single(s, i + count, p, j, behind) do count = count + 1 end
  while count >= 0 do
    local found = match(s, i + count, p, behind + 1, captures)
    if found then return found end
    count = count - 1
  end
end

local function shortest(s, i, p, j, behind, captures)
  while true do
    local found = match(s, i, p, behind + 1, captures)
    if found then return found end
    if not is_single(s, i, p, j, behind) then return nil end
    i = i + 1
  end
end

local function open(s, i, p, j, captures, length)
  local n = captures.n
  if n >= CAPTURES_MAX then fail("too many captures") end
  captures[n + 1], captures[-n - 1], captures.n = i, length, n + 1
  local found = match(s, i, p, j, captures)
  if not found then captures.n = captures.n - 1 end
  return found
end

local function close(s, i, p, j, captures)
  local number
  for n = captures.n, 1, -1 do
    if captures[-n] == OPEN then
      number = n
      break
    end
  end
  if not number then fail("invalid pattern capture") end
  captures[-number] = i - captures[number]
  local found = match(s, i, p, j, captures)
  if not found then captures[-number] = OPEN end
  return found
end

local function same_again(s, i, letter, captures)
  local number = letter - 48
  if number < 1 or number > captures.n or captures[-number] == OPEN then fail("invalid capture index") end
  local length = captures[-number]
  if length == POSITION then return nil end
  local text = sub(s, captures[number], captures[number] + length - 1)
  if sub(s, i, i + length - 1) == text then return i + length end
end

local function at_frontier(s, i, p, j, behind)
  local before, code = i > 1 and byte(s, i - 1) or 0, byte(s, i) or 0
  return not is_in_set(before, p, j, behind - 1) and is_in_set(code, p, j, behind - 1)
end

-- The place behind the match of the pattern from `j` on at place `i` of `s`; nil where there is none.
function match(s, i, p, j, captures)
  while true do
    local letter = byte(p, j)
    if not letter then return i end
    if letter == 40 then -- "("
      if byte(p, j + 1) == 41 then return open(s, i, p, j + 2, captures, POSITION) end
      return open(s, i, p, j + 1, captures, OPEN)
    elseif letter == 41 then -- ")"
      return close(s, i, p, j + 1, captures)
    elseif letter == 36 and j == #p then -- "$" at the end
      return i == #s + 1 and i or nil
    end
    local escaped = letter == PERCENT and byte(p, j + 1)
    if escaped == 98 then -- "%b"
      i = balanced(s, i, p, j + 2)
      if not i then return nil end
      j = j + 4
    elseif escaped == 102 then -- "%f"
      if byte(p, j + 2) ~= SET then fail("missing '[' after '%f' in pattern") end
      local behind = class_end(p, j + 2)
      if not at_frontier(s, i, p, j + 2, behind) then return nil end
      j = behind
    elseif escaped and escaped >= 48 and escaped <= 57 then
      i = same_again(s, i, escaped, captures)
      if not i then return nil end
      j = j + 2
    else
      local behind = class_end(p, j)
      local how = byte(p, behind)
      if how == 63 then -- "?"
        if is_single(s, i, p, j, behind) then
          local found = match(s, i + 1, p, behind + 1, captures)
          if found then return found end
        end
        j = behind + 1
      elseif how == 42 then -- "*"
        return longest(s, i, p, j, behind, captures)
      elseif how == 43 then -- "+"
        if not is_single(s, i, p, j, behind) then return nil end
        return longest(s, i + 1, p, j, behind, captures)
      elseif how == DASH then
        return shortest(s, i, p, j, behind, captures)
      else
        if not is_single(s, i, p, j, behind) then return nil end
        i, j = i + 1, behind
      end
    end
  end
end

local patterns = {}

-- What the captures are as a list, and how many; the whole match where the pattern has none and `whole` is true.
function patterns.captures(s, from, behind, captures, whole)
  local n = captures.n
  if n == 0 and whole then return { sub(s, from, behind - 1) }, 1 end
  local list = {}
  for i = 1, n do
    local length = captures[-i]
    if length == OPEN then fail("unfinished capture") end
    list[i] = length == POSITION and captures[i] or sub(s, captures[i], captures[i] + length - 1)
  end
  return list, n
end

-- The first match at `init` or later: where it begins, the place behind it, and its captures.
function patterns.search(s, p, init)
  local anchored = byte(p) == CARET
  local j = anchored and 2 or 1
  for i = init, #s + 1 do
    local captures = { n = 0 }
    local behind = match(s, i, p, j, captures)
    if behind then return i, behind, captures end
    if anchored then return nil end
  end
end

-- The matcher in C calls itself for each quantifier, and its time is bounded only by what follows here.
local NATIVE_BYTES_MAX, NATIVE_QUANTIFIERS_MAX = 200, 32
local QUANTIFIERS_MAX = 200 -- the matcher here calls itself, too

-- The place behind one class of characters; as class_end, but wrong patterns are for the matcher to complain of.
local function behind_single(p, j)
  local letter = byte(p, j)
  if letter == PERCENT then return j + 2 end
  if letter ~= SET then return j + 1 end
  j = j + 1
  if byte(p, j) == CARET then j = j + 1 end
  repeat
    if byte(p, j) == PERCENT then j = j + 1 end
    j = j + 1
  until j > #p or byte(p, j) == END_OF_SET
  return j + 1
end

local function is_quantifier(letter) return letter == 42 or letter == 43 or letter == DASH or letter == 63 end

-- Of a pattern: how many quantifiers it has, how many ranges of the text it may try, and how many ways "?" makes.
local function shape_of(p)
  local count, degree, ways, j, length, last = 0, 0, 1, byte(p) == CARET and 2 or 1, #p, nil
  while j <= length do
    local letter, escaped = byte(p, j, j + 1)
    if letter == 40 or letter == 41 then
      j = j + 1
    elseif letter == PERCENT and escaped == 102 then -- "%f"
      j, last = j + 2, nil
    elseif letter == PERCENT and escaped == 98 then -- "%b"
      j, degree, last = j + 4, degree + 1, nil
    else
      if letter == PERCENT and escaped and escaped >= 48 and escaped <= 57 then degree = degree + 1 end
      j = behind_single(p, j)
      last = byte(p, j)
      if is_quantifier(last) then
        count, j = count + 1, j + 1
        if last == 63 then ways = ways * 2 else degree = degree + 1 end
      end
    end
  end
  if last and last ~= 63 and is_quantifier(last) then degree = degree - 1 end -- nothing can fail behind it
  return { count = count, degree = degree, ways = ways }
end

local known, known_count = {}, 0

-- How many characters the matcher in C may have to look at for a text of this length, at most, and of how many
-- places in the text that is a power; no number where C may not have it.
function patterns.cost(length, p, anchored)
  local shape = known[p]
  if not shape then
    shape = shape_of(p)
    if shape.count > QUANTIFIERS_MAX then fail("pattern too complex") end
    if #p > NATIVE_BYTES_MAX or shape.count > NATIVE_QUANTIFIERS_MAX then return nil end
    if known_count >= 1000 then known, known_count = {}, 0 end
    known[p], known_count = shape, known_count + 1
  end
  local degree = shape.degree + (anchored and byte(p) == CARET and 0 or 1)
  return (length + 1) ^ degree * (#p + 1) * shape.ways, degree
end

return patterns
