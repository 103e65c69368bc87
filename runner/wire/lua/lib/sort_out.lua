-- sort_out(...): of a page of due jobs (id, due, …) put those that have a lane into it; gives the rest, with `specs` of
-- those that have one. A job whose worker died, or that still has its slots, is not put in again: it goes as a plain one,
-- or waits for a closed gate.
local function sort_out(queue, here, running, page, at)
  local ids, dues, laned, rest = {}, {}, {}, { specs = {} }
  for i = 1, #page, 2 do
    ids[(i + 1) / 2] = page[i]
  end
  local shelved = {}
  for i, spec in ipairs(#ids > 0 and redis.call('HMGET', here .. 'laned', unpack(ids)) or {}) do
    local id, goes_on, closed_until = ids[i], not spec, nil
    if spec then
      local _, lane = spec_of(spec)
      local gate = lane.gates[1]
      goes_on = gate and redis.call('ZSCORE', here .. 'holders:' .. gate.key, id) or redis.call('HEXISTS', running, id) == 1
      for _, each in ipairs(goes_on and lane.gates or {}) do
        closed_until = closed_until or gate_of(here, each, at).closed_until
      end
    end
    if closed_until then
      redis.call('ZADD', queue, text(closed_until), id)
    elseif goes_on then
      rest[#rest + 1], rest[#rest + 2], rest.specs[id] = id, page[i * 2], spec or nil
    else
      shelved[#shelved + 1], dues[#dues + 1], laned[#laned + 1] = id, page[i * 2], spec
    end
  end
  shelve(queue, here, shelved, dues, laned)
  return rest
end
