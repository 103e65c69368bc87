-- sort_out(...): of a page of due jobs (id, due, …) put those that have a lane into it; gives the rest. A job whose worker
-- died, or that still has its slots, is not put in again: it goes as a plain one, or waits for a closed gate.
local function sort_out(queue, here, running, page, at)
  local ids, rest = {}, {}
  for i = 1, #page, 2 do
    ids[#ids + 1] = page[i]
  end
  local specs = #ids > 0 and redis.call('HMGET', here .. 'laned', unpack(ids)) or {}
  for i, id in ipairs(ids) do
    local due, _, lane = page[i * 2], spec_of(specs[i] or '')
    local gate, closed_until = lane.gates[1], nil
    local has_slot = gate and redis.call('ZSCORE', here .. 'holders:' .. gate.key, id)
    local goes_on = specs[i] and (has_slot or redis.call('HEXISTS', running, id) == 1)
    for _, each in ipairs(goes_on and lane.gates or {}) do
      closed_until = closed_until or gate_of(here, each, at).closed_until
    end
    if closed_until then
      redis.call('ZADD', queue, text(closed_until), id)
    elseif not specs[i] or goes_on then
      rest[#rest + 1], rest[#rest + 2] = id, due
    else
      shelve(queue, here, id, due, specs[i])
    end
  end
  return rest
end
