-- erase(...): take a job that nobody runs out of everything but the dead letters and the results; `spec` if it has a lane.
local function erase(queue, running, suspects, abort, arq, ours, here, id, spec)
  redis.call('ZREM', queue, id)
  redis.call('HDEL', running, id)
  redis.call('ZREM', suspects, id)
  redis.call('ZREM', abort, id)
  resign(ours, { id })
  redis.call('DEL', arq .. 'job:' .. id, arq .. 'retry:' .. id, ours .. 'job:' .. id)
  unshelve(here, id, spec)
end
