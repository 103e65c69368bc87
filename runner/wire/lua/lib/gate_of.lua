-- gate_of(here, gate, at): how a gate stands: how many it lets pass (by its own state and by the rules, the
-- fewer), and until when it is closed. Read once a call; who
-- passes is counted off it.
local gates_read = {}
local function gate_of(here, gate, at)
  if not gates_read[gate.key] then
    local state = redis.call('HMGET', here .. 'gate:' .. gate.key, 'n', 'u')
    local narrow, closed_until = tonumber(state[1] or ''), tonumber(state[2] or '') or 0
    local most = rule(here, 'set:' .. gate.key, 'set:' .. gate.limit, 'limit:' .. gate.limit)
    most = most and math.min(most, narrow or most) or narrow
    local free = most and math.max(0, most - redis.call('ZCARD', here .. 'holders:' .. gate.key)) or 1e9
    local is_closed = closed_until > at
    gates_read[gate.key] = { free = is_closed and 0 or free, closed_until = is_closed and closed_until }
  end
  return gates_read[gate.key]
end
