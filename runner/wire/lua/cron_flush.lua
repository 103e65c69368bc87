-- cron_flush: make the job of a buffered tick, once the earlier one has ended.
--
-- FLAGS none
-- KEYS  queue   zset  job id -> due at (ms)
-- KEYS  abort   zset  cancellations asked for
-- KEYS  state   hash  of the schedule
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  ours    str   prefix of our keys
-- ARGV  now_ms  int   0 = ask the server
-- GIVES 1 made, 0 the earlier one has not ended or the schedule is paused, 2 nothing is buffered
-- FAILS nothing
-- COST  O(log n)
-- USES  now text instances spawn
local at = text((now(now_ms)))
local id, payload, paused, gone = unpack(redis.call('HMGET', state, 'next_id', 'next_payload', 'paused', 'gone'))
if not id then
  return 2
end
if gone then
  redis.call('HDEL', state, 'next_id', 'next_payload')
  return 2
end
if paused or #instances(state, arq) > 0 then
  return 0
end
redis.call('HDEL', state, 'next_id', 'next_payload')
spawn(queue, abort, arq, ours, id, at, payload)
redis.call('HSET', state, 'jobs', id)
redis.call('HINCRBY', state, 'made', 1)
return 1
