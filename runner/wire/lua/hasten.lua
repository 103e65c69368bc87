-- hasten: make a waiting job due now; one that stands in its lane (1e15 and above) is due.
--
-- KEYS  queue   zset  job id -> due at (ms)
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  ours    str   prefix of our keys
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  id      str   the job
-- GIVES 0 no such job is in the queue, 1 it is due, 2 it runs: nothing was written
-- FAILS nothing
-- COST  O(log n)
-- USES  now text
local due = redis.call('ZSCORE', queue, id)
if not due then
  return 0
end
if redis.call('EXISTS', arq .. 'in-progress:' .. id) == 1 then
  return 2
end
local at = now(now_ms)
if tonumber(due) > at and tonumber(due) < 1e15 then
  redis.call('ZADD', queue, 'XX', text(at), id)
  redis.call('HDEL', ours .. 'job:' .. id, 't') -- before its turn a place in a rate's line is worth nothing
end
return 1
