-- drop_oldest(...): make room: of the jobs that wait, the one that is due longest becomes a dead letter; whether there
-- was one among the first 100.
local function drop_oldest(queue, running, suspects, dead, abort, arq, ours, at_ms)
  local ids = redis.call('ZRANGE', queue, 0, 99)
  for i, held in ipairs(#ids > 0 and redis.call('HMGET', running, unpack(ids)) or ids) do
    local id = ids[i]
    if not held and redis.call('EXISTS', arq .. 'in-progress:' .. id) == 0 then
      local attempts = tonumber(redis.call('GET', arq .. 'retry:' .. id)) or 0
      bury(dead, arq, ours, id, at_ms, queue, 'dropped', attempts, '')
      erase(queue, running, suspects, abort, arq, ours, id)
      return true
    end
  end
  return false
end
