-- give_back(...): end a lease as if the claim had not been: the job is due again and its attempt is not spent.
local function give_back(queue, running, arq, ours, id, due, fence)
  redis.call('ZADD', queue, 'XX', due, id)
  redis.call('HDEL', running, id)
  redis.call('DEL', arq .. 'in-progress:' .. id)
  redis.call('DECR', arq .. 'retry:' .. id)
  redis.call('HSET', ours .. 'job:' .. id, 'f', fence)
end
