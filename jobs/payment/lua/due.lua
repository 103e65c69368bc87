-- due: give operations that nobody has come back to, and messages that were not handed on.
--
-- KEYS  open    zset  operation -> look at it at (ms)
-- KEYS  outbox  hash  message id -> what the merchant is told
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  late_ms int   only those due at least so long: their own jobs come first
-- ARGV  limit   int   at most so many of each
-- ARGV  prefix  str   of the keys of operations
-- GIVES the operations (each name, value, …), and id, message, id, message, …
-- FAILS nothing
-- COST  O(log n + limit)
-- USES  now text
local late = text(now(now_ms) - late_ms)
local operations = {}
for _, op_id in ipairs(redis.call('ZRANGEBYSCORE', open, '-inf', late, 'LIMIT', 0, limit)) do
  local operation = redis.call('HGETALL', prefix .. op_id)
  operation[#operation + 1], operation[#operation + 2] = 'op_id', op_id
  operations[#operations + 1] = operation
end
local messages = redis.call('HRANDFIELD', outbox, limit, 'WITHVALUES')
return { operations, messages }
