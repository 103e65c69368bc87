-- gate_place(...): ms until one that is not let through shall come back. Times are `apart` ms apart: no herd when the gate
-- lets through again. One farther off than far_ms is not kept, and spread by the jitter.
local function gate_place(gate, line, at, from, apart, far_ms, jitter)
  local till = math.max(gate[line], from) + apart
  if till - at > far_ms then
    return math.floor(far_ms * (1000 + jitter) / 2000)
  end
  gate[line], gate.is_touched = till, true
  return till - at
end
