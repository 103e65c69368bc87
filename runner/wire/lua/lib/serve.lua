-- serve(...): of the first `most` of these jobs of a lane (id, rank, …) draft those that its gates let pass, with their
-- slots, all or none. Gives their ids, and whether the lane waits under a gate now. Who calls takes them out of the lane.
local function serve(here, lane, jobs, most, at, abort, draft)
  local all, stop = most, nil
  for _, gate in ipairs(lane.gates) do
    if gate_of(here, gate, at).free < most then
      most, stop = gate_of(here, gate, at).free, gate
    end
  end
  local on_full = stop and not gate_of(here, stop, at).closed_until and stop.on_full
  local is_skipped = on_full == 'skip' and most == 0
  most, stop = is_skipped and all or most, on_full ~= 'skip' and stop
  local ids, slots = {}, {}
  for i = 1, most do
    local id = jobs[i * 2 - 1]
    ids[i], slots[i * 2 - 1], slots[i * 2] = id, text(at), id
    draft.ids[#draft.ids + 1], draft.skipped[id] = id, is_skipped
  end
  for _, gate in ipairs(most > 0 and not is_skipped and lane.gates or {}) do
    redis.call('ZADD', here .. 'holders:' .. gate.key, unpack(slots))
    gate_of(here, gate, at).free = gate_of(here, gate, at).free - most
  end
  if stop then
    park(here, lane, stop, at)
    draft.is_asked = on_full == 'cancel_oldest' and outlive(here, stop, at, abort) or draft.is_asked
  end
  return ids, stop and true
end
