-- cancel: end a job that waits, or ask the worker that runs it to stop.
--
-- KEYS  queue     zset  job id -> due at (ms)
-- KEYS  running   hash  job id -> token fence worker alone
-- KEYS  suspects  zset  jobs that must run alone
-- KEYS  abort     zset  cancellations asked for
-- ARGV  arq       str   prefix of arq's keys
-- ARGV  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  id        str   the job
-- ARGV  result    str   envelope that says cancelled
-- ARGV  keep_ms   int   how long it is kept; -1 for ever, 0 not at all
-- GIVES 0 there is no such job (any more), 1 cancelled, 2 asked
-- FAILS nothing
-- COST  O(log n)
-- USES  now text
local at = text((now(now_ms)))
if not redis.call('ZSCORE', queue, id) then
  return 0
end
if redis.call('EXISTS', arq .. 'in-progress:' .. id) == 1 or redis.call('HEXISTS', running, id) == 1 then
  redis.call('ZADD', abort, at, id)
  return 2
end
redis.call('ZREM', queue, id)
redis.call('ZREM', suspects, id)
redis.call('ZREM', abort, id)
redis.call('DEL', arq .. 'job:' .. id, arq .. 'retry:' .. id, ours .. 'job:' .. id)
if keep_ms == -1 then
  redis.call('SET', arq .. 'result:' .. id, result)
elseif keep_ms > 0 then
  redis.call('SET', arq .. 'result:' .. id, result, 'PX', keep_ms)
end
return 1
