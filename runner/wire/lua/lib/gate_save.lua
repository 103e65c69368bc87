-- gate_save(...): write a gate, list it while it holds anybody up, and let the lanes that wait under it look again when it
-- lets through more. One that says nothing any more leaves by itself, after a time without reports.
local function gate_save(queue, here, gate, at)
  local state = {}
  for _, name in ipairs({ 'l', 'c', 'o', 'k', 't', 'w', 'a', 'b', 'pa', 'pb', 'f', 'bt', 'bl', 'bn', 'ln' }) do
    state[#state + 1] = text(gate[name])
  end
  local key, left_ms = here .. 'gate:' .. gate.key, math.max(gate.u - at, 0) + math.max(gate.wants_ms, 600000)
  local n, m = gate.s == '' and '' or text(gate.l), table.concat(state, ' ')
  redis.call('HSET', key, 'u', text(gate.u), 'n', n, 's', gate.s, 'why', gate.why, 'm', m)
  redis.call('PEXPIRE', key, text(left_ms))
  if gate.u ~= gate.was_u or gate.l ~= gate.was_l then
    open_gate(queue, here, gate.key)
  end
  if gate.s ~= '' then
    redis.call('ZADD', here .. 'gates', text(at + left_ms), gate.key)
  elseif gate.was ~= '' then
    redis.call('ZREM', here .. 'gates', gate.key)
  end
end
