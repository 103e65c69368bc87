-- cron_states: read the states of schedules.
--
-- KEYS  definitions  hash  schedule -> its definition
-- ARGV  ours         str   prefix of our keys
-- ARGV  names        rest  of schedules, at most 500
-- GIVES a list a name: 1 it is defined at run time or 0, then last, print, paused, made, skipped, missed, next_id,
-- GIVES late, gone; nil where it has none
-- FAILS nothing
-- COST  O(1) a name
local given = {}
for i = 1, names_n do
  local state = redis.call(
    'HMGET', ours .. 'schedule:' .. names(i),
    'last', 'print', 'paused', 'made', 'skipped', 'missed', 'next_id', 'late', 'gone'
  )
  table.insert(state, 1, redis.call('HEXISTS', definitions, names(i)))
  given[i] = state
end
return given
