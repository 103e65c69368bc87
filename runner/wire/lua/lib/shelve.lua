-- shelve(...): put a ready job into its lane. A lane that had jobs before is being served, or waits under a gate.
local function shelve(queue, here, id, due, spec)
  local priority, lane = spec_of(spec)
  local place = rank(here, due, priority)
  redis.call('ZADD', here .. 'lane:' .. lane.text, place, id)
  redis.call('ZADD', queue, parked(due), id)
  if redis.call('ZCARD', here .. 'lane:' .. lane.text) == 1 then
    activate(here, lane.tenant, lane.text, place)
  else
    redis.call('ZADD', here .. 'lanes:' .. lane.tenant, 'XX', 'LT', place, lane.text)
  end
end
