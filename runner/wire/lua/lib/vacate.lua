-- vacate(...): free the slots of a job that has a lane; lanes that wait for one come back with the next claim. With
-- `is_over` the job has ended; with the last laned job of a queue the order of turns begins anew.
local function vacate(here, id, spec, is_over)
  if not spec then
    return
  end
  local _, lane = spec_of(spec)
  for _, gate in ipairs(lane.gates) do
    if redis.call('ZREM', here .. 'holders:' .. gate.key, id) == 1 then
      redis.call('ZADD', here .. 'shut', 'XX', 0, gate.key)
    end
  end
  if is_over then
    redis.call('HDEL', here .. 'laned', id)
    redis.call('ZREM', here .. 'owned', lane.tenant .. '\31' .. id)
    if redis.call('EXISTS', here .. 'laned') == 0 then
      redis.call('DEL', here .. 'tenants', here .. 'lanes:', here .. 'lone', here .. 'turn')
    end
  end
end
