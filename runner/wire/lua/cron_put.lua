-- cron_put: define a schedule at run time, or redefine it; one with another rule goes on from now.
--
-- FLAGS none
-- KEYS  definitions  hash  schedule -> its definition
-- KEYS  changes      zset  schedule -> number of its last change
-- KEYS  state        hash  of the schedule
-- ARGV  now_ms       int   0 = ask the server
-- ARGV  name         str   of the schedule
-- ARGV  fingerprint  str   of its rule
-- ARGV  definition   str   opaque
-- GIVES 1 it is new, 0 it was redefined, or is as it was
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(log n)
-- USES  now text note_change
local at, at_us = now(now_ms)
local print, gone = unpack(redis.call('HMGET', state, 'print', 'gone'))
if print ~= fingerprint or gone then
  redis.call('HSET', state, 'last', text(at), 'print', fingerprint)
end
if gone then
  redis.call('HDEL', state, 'gone', 'made', 'skipped', 'missed', 'paused')
  redis.call('PERSIST', state)
end
redis.call('HSET', state, 'defined', 1)
local is_new = redis.call('HSET', definitions, name, definition)
note_change(changes, name, at_us)
return is_new
