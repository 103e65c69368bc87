-- unshelve(...): a job that has a lane will not run (any more): take it out of its lane, its slots and the list of laned
-- jobs. An empty lane is gone, and with it its claim on what a gate let pass.
local function unshelve(here, id, spec)
  if not spec then
    return
  end
  local _, lane = spec_of(spec)
  if redis.call('ZREM', here .. 'lane:' .. lane.text, id) == 1 and redis.call('EXISTS', here .. 'lane:' .. lane.text) == 0 then
    deactivate(here, lane.tenant, lane.text)
    for _, gate in ipairs(lane.gates) do
      redis.call('ZREM', here .. 'waiting:' .. gate.key, lane.text)
      redis.call('ZADD', here .. 'shut', 'XX', 0, gate.key)
    end
  end
  vacate(here, id, spec, true)
end
