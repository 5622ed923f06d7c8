-- The library `table`: what takes time by the length of a table counts as steps.

local tools = ...
local bad, expected, charge, walk, kind_of = tools.bad, tools.expected, tools.charge, tools.walk, tools.kind_of
local order = tools.order
local type, getn, tonumber = type, table.getn, tonumber
local insert, remove, native_sort, concat = table.insert, table.remove, table.sort, table.concat

local LONG = 1000 -- elements; what moves more of them counts

local t = { concat = concat, getn = getn, maxn = table.maxn, foreachi = table.foreachi, setn = table.setn }

local function count_long(n)
  if n > LONG then charge((n - n % 100) / 100) end
end

function t.insert(...)
  local list, place, value = ...
  if type(list) == "table" and value ~= nil then
    count_long(#list)
    count_long(#list - (tonumber(place) or 1)) -- a place before the first has more to move than there is
  end
  return insert(...)
end

function t.remove(...)
  local list, place = ...
  if type(list) == "table" and place ~= nil then count_long(#list) end
  return remove(...)
end

function t.sort(...)
  local list, comparator = ...
  if type(list) == "table" and #list > LONG then charge(2 * #list) end
  if type(list) == "table" and comparator == nil and #list > order.COUNTED_FROM then
    return native_sort(list, order.less)
  end
  return native_sort(...)
end

function t.foreach(...)
  local list, f = ...
  if type(list) ~= "table" then expected("table", 1, "foreach", ...) end
  if type(f) ~= "function" then expected("function", 2, "foreach", ...) end
  for key, value in walk(list, 2) do
    local found = f(key, value)
    if found ~= nil then return found end
  end
end

return t
