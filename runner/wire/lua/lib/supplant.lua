-- supplant(...): give a job that nobody has claimed another payload, and the lane that belongs to it; due then, where it
-- is not nil.
local function supplant(queue, abort, arq, here, at, id, payload, spec, due)
  due = due or due_of(redis.call('ZSCORE', queue, id))
  redis.call('SET', arq .. 'job:' .. id, payload)
  redis.call('ZREM', abort, id)
  unshelve(here, id, redis.call('HGET', here .. 'laned', id))
  redis.call('ZADD', queue, due, id)
  set_lane(queue, here, id, due, at, spec)
end
