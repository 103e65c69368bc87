-- cron_drop: remove a schedule that was defined at run time. Its state stays for a day, marked as gone: a worker that
-- has not heard of it yet would begin it anew.
--
-- KEYS  definitions  hash  schedule -> its definition
-- KEYS  changes      zset  schedule -> number of its last change
-- KEYS  state        hash  of the schedule
-- ARGV  now_ms       int   0 = ask the server
-- ARGV  name         str   of the schedule
-- GIVES 1 removed, 0 there was none
-- FAILS nothing
-- COST  O(log n)
-- USES  now text note_change
local at, at_us = now(now_ms)
if redis.call('HDEL', definitions, name) == 0 then
  return 0
end
redis.call('HSET', state, 'gone', text(at), 'last', text(at))
redis.call('PEXPIRE', state, 86400000)
note_change(changes, name, at_us)
return 1
