-- cron_run: make jobs of a schedule out of turn: by hand now, or for ticks of the past. They count as its earlier
-- jobs where overlap is decided, but not as ticks.
--
-- FLAGS none
-- KEYS  queue   zset  job id -> due at (ms)
-- KEYS  abort   zset  cancellations asked for
-- KEYS  state   hash  of the schedule
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  ours    str   prefix of our keys
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  jobs    rest  id, payload; repeated, at most 100
-- GIVES one number a job: 1 made, 0 there is, or was, one of its id
-- FAILS nothing
-- COST  O(log n) a job, and one EXISTS for each earlier job that may still be there
-- USES  now text instances spawn
local at = text((now(now_ms)))
local alive, given = instances(state, arq), {}
for i = 1, jobs_n, 2 do
  local is_made = spawn(queue, abort, arq, ours, jobs(i), at, jobs(i + 1)) == 'MADE'
  given[#given + 1] = is_made and 1 or 0
  if is_made then
    alive[#alive + 1] = jobs(i)
  end
end
if #alive > 0 then
  redis.call('HSET', state, 'jobs', table.concat(alive, '\n'))
end
return given
