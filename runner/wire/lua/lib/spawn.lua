-- spawn(...): put the job of a tick into the queue, unless there is, or was, one of its id; MADE or EXISTS. The lease
-- that arq's cron jobs leave behind would keep the next of the same id from running.
local function spawn(queue, abort, arq, ours, id, due, payload)
  if redis.call('EXISTS', arq .. 'job:' .. id, arq .. 'result:' .. id, ours .. 'dead:' .. id) > 0 then
    return 'EXISTS'
  end
  redis.call('SET', arq .. 'job:' .. id, payload)
  redis.call('ZADD', queue, due, id)
  redis.call('ZREM', abort, id)
  redis.call('DEL', arq .. 'in-progress:' .. id)
  return 'MADE'
end
