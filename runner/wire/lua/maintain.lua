-- maintain: one bounded step of upkeep over one queue.
--
-- What a plain arq client enqueued carries a TTL that would lose it; take that off. Cancellations of jobs that are
-- not there would hit the next job of that id; drop them. A running entry of a job that a stock worker took over and
-- ended is dropped too.
--
-- KEYS  queue   zset  job id -> due at (ms)
-- KEYS  abort   zset  cancellations asked for
-- KEYS  running hash  job id -> token fence worker alone
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  cursor  int   where the last step ended; 0 to begin
-- ARGV  limit   int   jobs a step
-- GIVES the next cursor; 0 when the end was reached
-- FAILS nothing
-- COST  O(log n + limit)
local ids = redis.call('ZRANGE', queue, cursor, cursor + limit - 1)
for _, id in ipairs(ids) do
  if redis.call('PERSIST', arq .. 'job:' .. id) == 1 then
    redis.call('PERSIST', arq .. 'retry:' .. id)
  end
end
for _, id in ipairs(redis.call('ZRANGE', abort, 0, limit - 1)) do
  if redis.call('EXISTS', arq .. 'job:' .. id) == 0 then
    redis.call('ZREM', abort, id)
  end
end
for _, id in ipairs(redis.call('HRANDFIELD', running, 10)) do
  if not redis.call('ZSCORE', queue, id) then
    redis.call('HDEL', running, id)
  end
end
return #ids < limit and 0 or cursor + limit
