-- heir(ours, name, at): who has waited longest for a lock and still lives, with its bell; it leaves the line, and so do
-- the dead before it. Nothing when nobody waits.
local function heir(ours, name, at)
  local line, waiting = ours .. 'waiters:' .. name, ours .. 'waiting:' .. name
  for _ = 1, 100 do
    local owner = redis.call('ZRANGE', line, 0, 0)[1]
    if not owner then
      return nil
    end
    local till, bell = string.match(redis.call('HGET', waiting, owner) or '', '^(%d+) (%S*)$')
    redis.call('ZREM', line, owner)
    redis.call('HDEL', waiting, owner)
    if till and tonumber(till) > at then
      return owner, bell
    end
  end
end
