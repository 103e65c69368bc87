-- cron_states: read the states of schedules.
--
-- KEYS  definitions  hash  schedule -> its definition; only says where the states lie
-- ARGV  ours         str   prefix of our keys
-- ARGV  names        rest  of schedules, at most 500
-- GIVES a list a name: last, print, paused, made, skipped, missed, next_id, late, gone; nil where it has none
-- FAILS nothing
-- COST  O(1) a name
-- USES  text
local given = {}
for i = 1, names_n do
  given[i] = redis.call(
    'HMGET', ours .. 'schedule:' .. names(i),
    'last', 'print', 'paused', 'made', 'skipped', 'missed', 'next_id', 'late', 'gone'
  )
end
return given
