-- spare(...): the lease of a job that runs alone ran out. Its worker may be cut off and come back, and then nobody died:
-- the lease goes on once more, and is marked so.
local function spare(queue, running, arq, id, entry, lease_ms, lease_end)
  local token, fence, worker = owner(entry)
  redis.call('SET', arq .. 'in-progress:' .. id, token, 'PX', lease_ms)
  redis.call('ZADD', queue, 'XX', lease_end, id)
  redis.call('HSET', running, id, token .. ' ' .. text(fence) .. ' ' .. worker .. ' 2')
end
