-- cron_flush: make the job of a buffered tick, once the earlier one has ended.
--
-- FLAGS none
-- KEYS  queue   zset  job id -> due at (ms)
-- KEYS  abort   zset  cancellations asked for
-- KEYS  state   hash  of the schedule
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  ours    str   prefix of our keys
-- ARGV  now_ms  int   0 = ask the server
-- GIVES 1 made, 0 the earlier one has not ended, 2 nothing is buffered
-- FAILS nothing
-- COST  O(log n)
-- USES  now text instances
local at = text((now(now_ms)))
local id, payload = unpack(redis.call('HMGET', state, 'next_id', 'next_payload'))
if not id then
  return 2
end
if #instances(state, arq) > 0 then
  return 0
end
redis.call('HDEL', state, 'next_id', 'next_payload')
if redis.call('EXISTS', arq .. 'job:' .. id, arq .. 'result:' .. id, ours .. 'dead:' .. id) == 0 then
  redis.call('SET', arq .. 'job:' .. id, payload)
  redis.call('ZADD', queue, at, id)
  redis.call('ZREM', abort, id)
end
redis.call('HSET', state, 'jobs', id)
redis.call('HINCRBY', state, 'made', 1)
return 1
