-- set_aside(...): a suspect that may not run here now waits to run alone; it is looked at again after a lease.
local function set_aside(queue, running, suspects, id, lease_end, since)
  redis.call('ZADD', queue, 'XX', lease_end, id)
  redis.call('ZADD', suspects, 'NX', since, id)
  redis.call('HDEL', running, id)
end
