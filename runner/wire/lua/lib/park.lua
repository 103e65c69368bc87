-- park(...): let a lane wait under the gate that stops it. Its other gates may have let it come back for a slot that it
-- does not take now: they are looked at again.
local parked_n = 0
local function park(here, lane, gate, at)
  parked_n = parked_n + 1
  redis.call('ZADD', here .. 'waiting:' .. gate.key, string.format('%.3f', at + parked_n / 1000), lane.text)
  redis.call('ZADD', here .. 'shut', text(gate_of(here, gate, at).closed_until or 1e15), gate.key)
  for _, other in ipairs(lane.gates) do
    if other.key ~= gate.key then
      redis.call('ZADD', here .. 'shut', 'XX', text(at), other.key)
    end
  end
end
