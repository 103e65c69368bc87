-- erase(...): take a job that nobody runs out of everything but the dead letters and the results.
local function erase(queue, running, suspects, abort, arq, ours, id)
  redis.call('ZREM', queue, id)
  redis.call('HDEL', running, id)
  redis.call('ZREM', suspects, id)
  redis.call('ZREM', abort, id)
  resign(ours, { id })
  redis.call('DEL', arq .. 'job:' .. id, arq .. 'retry:' .. id, ours .. 'job:' .. id)
end
