-- exhume(...): take an id out of the dead ZSET and its bytes out of the queue's sum; whether it was there. The letter
-- itself stays, for the caller to move or to delete.
local function exhume(dead, ours, id)
  if redis.call('ZREM', dead, id) == 0 then
    return false
  end
  local bytes = redis.call('HGET', ours .. 'dead:' .. id, 'bytes')
  redis.call('HINCRBY', dead .. '-stats', 'bytes', -(tonumber(bytes or 0) or 0))
  redis.call('SREM', dead .. '-untold', id)
  return true
end
