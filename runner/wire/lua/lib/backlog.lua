-- backlog(queue, running): how many jobs wait: are due, due later, or between two attempts. Those that run do not.
local function backlog(queue, running)
  return math.max(0, redis.call('ZCARD', queue) - redis.call('HLEN', running))
end
