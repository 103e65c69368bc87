-- gate_refill(...): add to a retry budget what time has brought, and `more`. Millionths of a token; none stored is full.
local function gate_refill(gate, at, budget, more)
  if gate.bl == 0 then
    gate.bt, gate.bl = budget.bcap, at
  end
  gate.bt = math.min(budget.bcap, gate.bt + (at - gate.bl) * budget.floor + more)
  gate.bl, gate.wants_ms = at, math.ceil((budget.bcap - gate.bt) / budget.floor)
end
