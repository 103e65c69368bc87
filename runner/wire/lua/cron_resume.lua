-- cron_resume: let a paused schedule go on from now.
--
-- KEYS  state   hash  of the schedule
-- ARGV  now_ms  int   0 = ask the server
-- GIVES 1 resumed, 0 it was not paused
-- FAILS nothing
-- COST  O(1)
-- USES  now text
if redis.call('HDEL', state, 'paused') == 0 then
  return 0
end
redis.call('HSET', state, 'last', text((now(now_ms))))
return 1
