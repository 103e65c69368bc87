-- install(...): make a job the one that stands for a digest. For a period the record ends by itself; else the job is
-- marked, and resign() ends it with the job.
local function install(ours, id, at_ms, digest, lasts, period_ms)
  local record = at_ms .. ' ' .. id
  if lasts == 'period' then
    redis.call('SET', ours .. 'unique:' .. digest, record, 'PX', period_ms)
  else
    redis.call('SET', ours .. 'unique:' .. digest, record)
    redis.call('HSET', ours .. 'unique-jobs', id, digest)
  end
end
