-- review: give the operations that a person has to look at, those that wait longest first.
--
-- KEYS  review  zset  operation that a person has to look at -> since ms
-- ARGV  limit   int   at most so many
-- ARGV  prefix  str   of the keys of operations
-- GIVES the operations, each name, value, …; `since` among them
-- FAILS nothing
-- COST  O(limit)
local operations, waiting = {}, redis.call('ZRANGE', review, 0, limit - 1, 'WITHSCORES')
for i = 1, #waiting, 2 do
  local operation = redis.call('HGETALL', prefix .. waiting[i])
  local n = #operation
  operation[n + 1], operation[n + 2], operation[n + 3], operation[n + 4] = 'op_id', waiting[i], 'since', waiting[i + 1]
  operations[#operations + 1] = operation
end
return operations
