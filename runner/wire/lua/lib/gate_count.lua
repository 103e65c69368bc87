-- gate_count(...): count calls; gives why the breaker is to open, or nil. The share is that of a sliding window: of
-- the one that runs, and of the one before as much as still lies in it.
local function gate_count(gate, at, count, is_failed, policy)
  local window = math.floor(at / policy.window)
  if gate.w ~= window then
    local is_next = gate.w == window - 1
    gate.pa, gate.pb = is_next and gate.a or 0, is_next and gate.b or 0
    gate.w, gate.a, gate.b = window, 0, 0
  end
  gate.a, gate.b, gate.c = gate.a + count, gate.b + (is_failed and count or 0), is_failed and gate.c + count or 0
  local left = (window + 1) * policy.window - at
  local calls = gate.a + math.floor(gate.pa * left / policy.window)
  local failed = gate.b + math.floor(gate.pb * left / policy.window)
  if gate.c >= policy.after then
    return gate.c .. ' failures in a row'
  elseif is_failed and calls >= policy.volume and failed * 100 >= policy.percent * calls then
    return failed .. ' of ' .. calls .. ' calls failed'
  end
end
