-- room(...): take so many bytes of what the durable records of a job may hold; false when there is no room.
local function room(history, size, limit)
  local taken = tonumber(redis.call('HGET', history, 'b')) or 0
  if redis.call('HLEN', history) >= 1000 or taken + size > limit then
    return false
  end
  redis.call('HINCRBY', history, 'b', size)
  return true
end
