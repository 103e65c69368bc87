-- outlive(...): ask the one who has had a slot of a gate for longest to stop; whether there is one.
local function outlive(here, gate, at, abort)
  local oldest = redis.call('ZRANGE', here .. 'holders:' .. gate.key, 0, 0)[1]
  if oldest then
    redis.call('ZADD', abort, 'NX', text(at), oldest)
  end
  return oldest ~= nil
end
