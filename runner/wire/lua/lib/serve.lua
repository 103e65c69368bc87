-- serve(...): of these jobs of a lane (id, rank, …) take those that its gates let pass, with their slots, all or none; then
-- the lane has its next head, or is empty, or waits. Gives how many, and whether they are to be skipped: on_full.
local function serve(here, lane, jobs, at, abort)
  local most, stop = #jobs / 2, nil
  for _, gate in ipairs(lane.gates) do
    if gate_of(here, gate, at).free < most then
      most, stop = gate_of(here, gate, at).free, gate
    end
  end
  local on_full = stop and not gate_of(here, stop, at).closed_until and stop.on_full
  local is_skipped = on_full == 'skip' and most == 0
  most, stop = is_skipped and #jobs / 2 or most, on_full ~= 'skip' and stop
  local ids, slots = {}, {}
  for i = 1, most do
    ids[i], slots[i * 2 - 1], slots[i * 2] = jobs[i * 2 - 1], text(at), jobs[i * 2 - 1]
  end
  for _, gate in ipairs(most > 0 and not is_skipped and lane.gates or {}) do
    redis.call('ZADD', here .. 'holders:' .. gate.key, unpack(slots))
    gate_of(here, gate, at).free = gate_of(here, gate, at).free - most
  end
  if most > 0 then
    redis.call('ZREM', here .. 'lane:' .. lane.text, unpack(ids))
  end
  if stop then
    park(here, lane, stop, at)
    return most, false, on_full == 'cancel_oldest' and outlive(here, stop, at, abort)
  end
  local head = redis.call('ZRANGE', here .. 'lane:' .. lane.text, 0, 0, 'WITHSCORES')
  if head[1] then
    redis.call('ZADD', here .. 'lanes:' .. lane.tenant, head[2], lane.text)
  else
    deactivate(here, lane.tenant, lane.text)
  end
  return most, is_skipped, false
end
