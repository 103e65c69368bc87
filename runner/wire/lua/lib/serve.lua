-- serve(...): of the first `most` jobs of a lane, every `step`th of a list, draft those that its gates let pass, all or
-- none, with slots that draw() writes down. Gives how many, and whether the lane waits under a gate now. Who calls takes
-- them out of the lane.
local function serve(here, lane, jobs, step, most, at, abort, draft)
  local all, stop = most, nil
  for _, gate in ipairs(lane.gates) do
    local free = gate_of(here, gate, at).free
    if free < most then
      most, stop = free, gate
    end
  end
  local on_full = stop and not gate_of(here, stop, at).closed_until and stop.on_full
  local is_skipped = on_full == 'skip' and most == 0
  most, stop = is_skipped and all or most, on_full ~= 'skip' and stop
  local ids, specs, n = draft.ids, draft.specs, #draft.ids
  for i = 1, most do
    local id = jobs[(i - 1) * step + 1]
    ids[n + i], specs[id] = id, true
    draft.skipped[id] = is_skipped or nil
  end
  for _, gate in ipairs(most > 0 and not is_skipped and lane.gates or {}) do
    local slots = draft.slots[gate.key] or {}
    for i = n + 1, n + most do
      slots[#slots + 1], slots[#slots + 2] = text(at), ids[i]
    end
    draft.slots[gate.key], gate_of(here, gate, at).free = slots, gate_of(here, gate, at).free - most
  end
  if stop then
    park(here, lane, stop, at)
    draft.is_asked = on_full == 'cancel_oldest' and outlive(here, stop, at, abort) or draft.is_asked
  end
  return most, stop and true
end
