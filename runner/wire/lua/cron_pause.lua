-- cron_pause: stop a schedule, or let a stopped one go on from now.
--
-- KEYS  state    hash  of the schedule
-- KEYS  changes  zset  schedule -> number of its last change
-- ARGV  now_ms   int   0 = ask the server
-- ARGV  name     str   of the schedule
-- ARGV  paused   int   1 stops it, 0 lets it go on
-- GIVES 1 done, 0 it was so already
-- FAILS nothing
-- COST  O(log n)
-- USES  now text note_change
local at, at_us = now(now_ms)
local is_paused = redis.call('HEXISTS', state, 'paused')
if is_paused == paused then
  return 0
end
if paused == 1 then
  redis.call('HSET', state, 'paused', text(at))
else
  redis.call('HDEL', state, 'paused')
  redis.call('HSET', state, 'last', text(at))
end
note_change(changes, name, at_us)
return 1
