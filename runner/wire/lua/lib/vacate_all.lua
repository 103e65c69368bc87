-- vacate_all(...): as vacate() for those ends of a call that were written (1 in verdicts), a command a gate. Without lanes
-- it is one EXISTS.
local function vacate_all(here, ids, verdicts, is_over)
  if #ids == 0 or redis.call('EXISTS', here .. 'laned') == 0 then
    return
  end
  local slots, over, owned, specs = {}, {}, {}, redis.call('HMGET', here .. 'laned', unpack(ids))
  for n, id in ipairs(ids) do
    specs[n] = verdicts[n] == 1 and specs[n]
    local _, lane = spec_of(specs[n] or '')
    for _, gate in ipairs(lane.gates) do
      slots[gate.key] = slots[gate.key] or {}
      table.insert(slots[gate.key], id)
    end
    if specs[n] and is_over[n] then
      over[#over + 1], owned[#owned + 1] = id, lane.tenant .. '\31' .. id
    end
  end
  for key, held in pairs(slots) do
    if redis.call('ZREM', here .. 'holders:' .. key, unpack(held)) > 0 then
      redis.call('ZADD', here .. 'shut', 'XX', 0, key)
    end
  end
  if #over > 0 then
    redis.call('HDEL', here .. 'laned', unpack(over))
    redis.call('ZREM', here .. 'owned', unpack(owned))
    if redis.call('EXISTS', here .. 'laned') == 0 then
      redis.call('DEL', here .. 'tenants', here .. 'lanes:', here .. 'turn')
    end
  end
end
