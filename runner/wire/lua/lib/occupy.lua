-- occupy(...): make an owner the holder of a lock, out of the line of those who wait; gives its fence.
local function occupy(ours, name, owner, at_us, till)
  local lock = ours .. 'lock:' .. name
  local fence = text(math.max(at_us, tonumber(redis.call('HGET', lock, 'f') or 0) + 1))
  redis.call('HSET', lock, 'o', owner, 'u', till, 'f', fence)
  if redis.call('ZREM', ours .. 'waiters:' .. name, owner) == 1 then
    redis.call('HDEL', ours .. 'waiting:' .. name, owner)
  end
  return fence
end
