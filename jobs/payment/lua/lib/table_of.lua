-- table_of(key): a hash as a table; empty when there is none.
local function table_of(key)
  local found, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    found[flat[i]] = flat[i + 1]
  end
  return found
end
