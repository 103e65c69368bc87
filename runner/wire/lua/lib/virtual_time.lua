-- virtual_time(here): the finish tag of what was served last (self-clocked fair queueing): tenants that come, or come
-- back, begin one stride after it. It only rises, so nothing need be kept of tenants without ready jobs. Who serves
-- tells it; draw() writes it down.
local turn_v
local function virtual_time(here, served)
  turn_v = served or turn_v
  turn_v = turn_v or tonumber(redis.call('HGET', here .. 'turn', 'v') or 0)
  return turn_v
end
