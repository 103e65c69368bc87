-- note_change(changes, name, at_us): let workers that look for changes find this schedule. Changes are numbered in
-- rising order; those of the day before are forgotten, 100 at a time: no worker looks that seldom.
local function note_change(changes, name, at_us)
  local newest = redis.call('ZREVRANGE', changes, 0, 0, 'WITHSCORES')[2]
  redis.call('ZADD', changes, text(math.max(at_us, (tonumber(newest) or 0) + 1)), name)
  local old = redis.call('ZRANGEBYSCORE', changes, '-inf', text(at_us - 86400000000), 'LIMIT', 0, 100)
  if #old > 0 then
    redis.call('ZREM', changes, unpack(old))
  end
end
