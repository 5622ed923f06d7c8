-- Tables are walked in an order that depends on nothing but their keys: numbers, then strings, then booleans.
-- Lua's own order depends on the addresses of tables and functions among the keys, and on when garbage was
-- collected; both differ from replica to replica.

local type, error, rawget, sort, raw_next, native_unpack = type, error, rawget, table.sort, next, unpack

local order = {}

local COUNTED_FROM = 10000 -- elements; a longer list is sorted by a function in Lua, whose steps are counted

local function less(a, b) return a < b end

local function unordered(level)
  error("this table has a key that is neither a number, a string nor a boolean, and can not be iterated", level)
end

local function sort_list(list, count)
  if count > COUNTED_FROM then sort(list, less) else sort(list) end
end

-- The keys of a table in their order, and how many they are.
local function keys_of(t, level)
  local numbers, strings, n, s = {}, nil, 0, 0
  local last, ascending, no, yes = nil, true, false, false
  for key in raw_next, t do
    local kind = type(key)
    if kind == "number" then
      if last and key < last then ascending = false end
      last, n = key, n + 1
      numbers[n] = key
    elseif kind == "string" then
      strings, s = strings or {}, s + 1
      strings[s] = key
    elseif kind == "boolean" then
      if key then yes = true else no = true end
    else
      unordered(level + 1)
    end
  end
  if not ascending then sort_list(numbers, n) end
  if strings then
    sort_list(strings, s)
    for i = 1, s do numbers[n + i] = strings[i] end
    n = n + s
  end
  if no then n = n + 1 numbers[n] = false end
  if yes then n = n + 1 numbers[n] = true end
  return numbers, n
end
order.keys_of = keys_of

-- Walks over a table as it is now.  What is removed meanwhile is left out.
function order.walk(t, level)
  local keys, count = keys_of(t, level + 1)
  local i = 0
  return function()
    while i < count do
      i = i + 1
      local key = keys[i]
      local value = rawget(t, key)
      if value ~= nil then return key, value end
    end
    return nil
  end
end

local RANK = { number = 1, string = 2, boolean = 3 }

local function first_of(t, level)
  local best, best_kind
  for key in raw_next, t do
    local kind = type(key)
    if not RANK[kind] then unordered(level + 1) end
    if best == nil or RANK[kind] < RANK[best_kind]
      or (kind == best_kind and (kind == "boolean" and not key or kind ~= "boolean" and key < best)) then
      best, best_kind = key, kind
    end
  end
  return best
end

-- The key behind `key`.  `cursors` remembers the order of each table that is walked in this run.
function order.following(cursors, t, key, level)
  if raw_next(t) == nil then
    if key ~= nil then error("invalid key to 'next'", 0) end
    return nil
  end
  if key == nil then
    cursors[t] = nil
    key = first_of(t, level + 1)
    return key, rawget(t, key)
  end
  local cursor = cursors[t]
  if not cursor or not cursor.places[key] then
    local keys, count = keys_of(t, level + 1)
    local places = {}
    for i = 1, count do places[keys[i]] = i end
    if not places[key] then error("invalid key to 'next'", 0) end
    cursor = { keys = keys, places = places }
    cursors[t] = cursor
  end
  local keys, i = cursor.keys, cursor.places[key]
  while true do
    i = i + 1
    key = keys[i]
    if key == nil then return nil end
    local value = rawget(t, key)
    if value ~= nil then return key, value end
  end
end

order.sort_list = sort_list
order.less = less
order.COUNTED_FROM = COUNTED_FROM
return order
