-- look: which of some new jobs one shard of a queue has already, and how full it is; changes nothing.
--
-- KEYS  queue    zset  job id -> due at (ms)
-- KEYS  running  hash  job id -> token fence worker alone
-- ARGV  arq      str   prefix of arq's keys
-- ARGV  ours     str   prefix of our keys
-- ARGV  here     str   prefix of the queue's lanes and gates
-- ARGV  jobs     rest  id, digest ('' = not unique), tenant ('' = not counted); repeated, at most 500
-- GIVES how many wait; then two a job: 2 it, or one that does the same, is here, 1 only its digest is kept, 0 neither;
-- GIVES how many jobs of its tenant are counted here
-- FAILS nothing
-- COST  O(log n) a job
-- USES  backlog
local given = { backlog(queue, running) }

local function is_here(id, digest)
  if redis.call('EXISTS', arq .. 'job:' .. id, arq .. 'result:' .. id, ours .. 'dead:' .. id) > 0 then
    return 2
  end
  local kept = digest ~= '' and redis.call('GET', ours .. 'unique:' .. digest)
  local holder = kept and string.match(kept, '^%d+ (.*)$')
  return holder and 1 + redis.call('EXISTS', arq .. 'job:' .. holder) or 0
end

for i = 1, jobs_n, 3 do
  local tenant = jobs(i + 2)
  given[#given + 1] = is_here(jobs(i), jobs(i + 1))
  given[#given + 1] = tenant == '' and 0
    or redis.call('ZLEXCOUNT', here .. 'owned', '[' .. tenant .. '\31', '(' .. tenant .. ' ')
end
return given
