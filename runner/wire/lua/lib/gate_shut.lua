-- gate_shut(...): open the breaker: no calls until u, then probes. Each opening in a row is twice as long, up to a cap,
-- and longer by up to the jitter, in thousandths, so that gates that opened at once do not probe at once.
local function gate_shut(gate, at, jitter, policy, why)
  gate.o = math.min(gate.o + 1, 30)
  local span = math.min(policy.cap, policy.open * 2 ^ (gate.o - 1))
  gate.u, gate.s, gate.l = at + math.floor(span * (1000 + jitter) / 1000), 'open', policy.probes
  gate.why, gate.c, gate.k, gate.a, gate.b, gate.pa, gate.pb = why, 0, 0, 0, 0, 0, 0
  return 'opened'
end
