-- vacate_all(...): as vacate() for those ends of a call that were written (1 in verdicts), a command a gate. Without lanes
-- it is one EXISTS.
local function vacate_all(here, ids, verdicts, is_over)
  if #ids == 0 or redis.call('EXISTS', here .. 'laned') == 0 then
    return
  end
  local slots, over, owned = {}, {}, {}
  local is_owned, any_shut = redis.call('EXISTS', here .. 'owned') == 1, redis.call('EXISTS', here .. 'shut') == 1
  for n, spec in ipairs(redis.call('HMGET', here .. 'laned', unpack(ids))) do
    local is_mine = spec and verdicts[n] == 1
    over[#over + 1] = is_mine and is_over[n] and ids[n] or nil
    if is_mine and (is_owned or string.find(spec, '\31', 3, true)) then
      local _, lane = spec_of(spec)
      for _, gate in ipairs(lane.gates) do
        slots[gate.key] = slots[gate.key] or {}
        table.insert(slots[gate.key], ids[n])
      end
      owned[#owned + 1] = is_owned and is_over[n] and lane.tenant .. '\31' .. ids[n] or nil
    end
  end
  for key, held in pairs(slots) do
    if redis.call('ZREM', here .. 'holders:' .. key, unpack(held)) > 0 and any_shut then
      redis.call('ZADD', here .. 'shut', 'XX', 0, key)
    end
  end
  if owned[1] then
    redis.call('ZREM', here .. 'owned', unpack(owned))
  end
  if over[1] and redis.call('HDEL', here .. 'laned', unpack(over)) > 0 and redis.call('EXISTS', here .. 'laned') == 0 then
    redis.call('DEL', here .. 'tenants', here .. 'lanes:', here .. 'lone', here .. 'turn')
  end
end
