-- progress: note how far running jobs of one queue are.
--
-- KEYS  queue    zset  job id -> due at (ms)
-- KEYS  running  hash  job id -> token fence worker alone
-- ARGV  arq      str   prefix of arq's keys
-- ARGV  ours     str   prefix of our keys
-- ARGV  id       str   the job
-- ARGV  token    str   proves the lease
-- ARGV  note     str   json
-- GIVES 1 noted, 0 lost, 2 nobody holds it
-- FAILS nothing
-- COST  O(1)
-- USES  holds settle
local verdict = settle(queue, running, arq, { id }, { token })[1]
if verdict == 1 then
  redis.call('HSET', ours .. 'job:' .. id, 'p', note)
end
return verdict
