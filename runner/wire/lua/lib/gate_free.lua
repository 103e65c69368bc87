-- gate_free(gate): close the breaker: calls as ever, and nothing is remembered of its openings.
local function gate_free(gate)
  gate.s, gate.u, gate.why = '', 0, ''
  gate.l, gate.o, gate.k, gate.t, gate.c, gate.a, gate.b, gate.pa, gate.pb = 0, 0, 0, 0, 0, 0, 0, 0, 0
  return 'closed'
end
