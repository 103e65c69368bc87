-- gate_learn(...): what a finished call says of a gate; gives the word for what changed, or ''. Calls that began before
-- the gate let anybody through again say nothing of now.
local function gate_learn(gate, at, call, policy)
  local is_ok, is_failed = call.verdict == 'ok', call.verdict == 'failed'
  if call.verdict == 'throttled' then
    local till = at + math.min(call.retry_ms, policy.pause)
    if till <= math.max(gate.u, at) then
      return ''
    end
    gate.u, gate.why, gate.s = till, call.why, gate.s == '' and 'recovering' or gate.s
    gate.l, gate.t = policy.probes, till
    return 'paused'
  elseif not (is_ok or is_failed) or at - call.took_ms < gate.u then
    return ''
  elseif gate.s == 'open' and is_failed then
    return gate_shut(gate, at, call.jitter, policy, 'a probe failed')
  elseif gate.s == 'open' then
    gate.k = gate.k + call.count
    if gate.k >= policy.close then
      gate.s, gate.l, gate.t, gate.u, gate.why = 'recovering', policy.probes * 2, at, 0, 'it answers again'
    end
    return ''
  end
  local why = gate_count(gate, at, call.count, is_failed, policy)
  if why then
    return gate_shut(gate, at, call.jitter, policy, why)
  elseif gate.s == 'recovering' and is_ok and at - gate.t >= policy.step then
    gate.l, gate.t = gate.l * 2, at
    return gate.l > policy.top and gate_free(gate) or ''
  end
  return ''
end
