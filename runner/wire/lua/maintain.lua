-- maintain: one bounded step of upkeep over one queue.
--
-- What a plain arq client enqueued carries a TTL that would lose it; take that off. Cancellations of jobs that are
-- not there would hit the next job of that id; drop them. A running entry, the mark of a unique job, a lane and slots of
-- a job that a stock worker took over and ended are dropped too. A job whose lease ran out has waited already: it goes
-- before the backlog, not behind it. A lease that ends later than its length from now is from before the server's clock
-- went back; it gets its length again, or the job of a worker that died would wait until that hour comes again.
--
-- KEYS  queue   zset  job id -> due at (ms)
-- KEYS  abort   zset  cancellations asked for
-- KEYS  running hash  job id -> token fence worker alone
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  ours    str   prefix of our keys
-- ARGV  here    str   prefix of the queue's lanes and gates
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  cursor  int   where the last step ended; 0 to begin
-- ARGV  limit   int   jobs a step
-- GIVES the next cursor; 0 when the end was reached
-- FAILS nothing
-- COST  O(log n + limit); looks at `limit` running entries, marks and laned jobs, drawn at random when there are more
-- USES  now text resign lane_of spec_of vacate rule stride virtual_time deactivate unshelve activate mend
mend(queue, here, limit)
local ids = redis.call('ZRANGE', queue, cursor, cursor + limit - 1)
for _, id in ipairs(ids) do
  if redis.call('PERSIST', arq .. 'job:' .. id) == 1 then
    redis.call('PERSIST', arq .. 'retry:' .. id)
  end
end
for _, id in ipairs(redis.call('ZRANGE', abort, 0, limit - 1)) do
  if redis.call('EXISTS', arq .. 'job:' .. id) == 0 then
    redis.call('ZREM', abort, id)
  end
end
for _, id in ipairs(redis.call('HRANDFIELD', ours .. 'unique-jobs', limit)) do
  if redis.call('EXISTS', arq .. 'job:' .. id) == 0 then
    resign(ours, { id })
  end
end
local held = redis.call('HRANDFIELD', running, limit)
if #held > 0 then
  local leases, scores = {}, redis.call('ZMSCORE', queue, unpack(held))
  for i, id in ipairs(held) do
    leases[i] = arq .. 'in-progress:' .. id
  end
  leases = redis.call('MGET', unpack(leases))
  local first, at = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')[2], now(now_ms)
  local front = first and text(math.min(tonumber(first), at) - 1)
  for i, id in ipairs(held) do
    if not scores[i] then
      redis.call('HDEL', running, id)
    elseif not leases[i] then
      redis.call('ZADD', queue, 'XX', front, id)
    else
      local length = tonumber(string.match(leases[i], '%.(%d+)$')) or math.huge
      if tonumber(scores[i]) > at + length then
        redis.call('SET', arq .. 'in-progress:' .. id, leases[i], 'PX', text(length))
        redis.call('ZADD', queue, 'XX', text(at + length), id)
      end
    end
  end
end
return #ids < limit and 0 or cursor + limit
