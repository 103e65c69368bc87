-- gate_of(here, gate, at): how a gate stands: how many it lets pass (by its own state and by the rules, the
-- fewer), and until when it is closed. Read once a call; who passes is counted off it. Only a gate that is listed in `gates`
-- holds anybody up by its own state.
local gates_read, any_listed = {}, nil
local function gate_of(here, gate, at)
  local known = gates_read[gate.key]
  if not known then
    any_listed = any_listed == nil and redis.call('EXISTS', here .. 'gates') == 1 or any_listed
    local state = any_listed and redis.call('HMGET', here .. 'gate:' .. gate.key, 'n', 'u') or {}
    local narrow, closed_until = tonumber(state[1] or ''), tonumber(state[2] or '') or 0
    local most = rule(here, 'set:' .. gate.key, 'set:' .. gate.limit, 'limit:' .. gate.limit)
    most = most and math.min(most, narrow or most) or narrow
    local free = most and math.max(0, most - redis.call('ZCARD', here .. 'holders:' .. gate.key)) or 1e9
    local is_closed = closed_until > at
    known = { free = is_closed and 0 or free, closed_until = is_closed and closed_until }
    gates_read[gate.key] = known
  end
  return known
end
