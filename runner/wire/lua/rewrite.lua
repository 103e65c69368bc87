-- rewrite: put another payload in the place of a waiting job's.
--
-- KEYS  queue   zset  job id -> due at (ms)
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  id      str   the job
-- ARGV  known   str   the payload as it was read
-- ARGV  given   str   the other one
-- GIVES 0 no such job is in the queue, 1 written (also by this very call, sent before), 2 it runs, 3 its payload is not
-- GIVES the known one (any more)
-- FAILS nothing
-- COST  O(1)
if not redis.call('ZSCORE', queue, id) then
  return 0
end
if redis.call('EXISTS', arq .. 'in-progress:' .. id) == 1 then
  return 2
end
local stored = redis.call('GET', arq .. 'job:' .. id)
if stored == given then
  return 1
end
if stored ~= known then
  return 3
end
redis.call('SET', arq .. 'job:' .. id, given)
return 1
