-- gate_report: learn how calls went, and open and close the gates they went through.
--
-- KEYS  queue   zset  job id -> due at (ms)
-- KEYS  here    str   prefix of what belongs to this queue alone
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  calls   rest  gate, breaker, job, verdict, how many such, retry after ms, took ms, 1 for a retry, jitter (thousandths),
-- calls: why, policy, budget; repeated, at most 500. Several at once are first tries that went well, of no job in `probes`
--
-- verdict    ok, failed, throttled (the other side asked for a wait), none (says nothing), and by people: open (for
--            `retry after` ms, then probes), resume (now, growing), reset (now, as if nothing had been)
-- policy     failures in a row, calls, percent of them, window ms, opening ms, longest ms, probes, good probes, step ms,
--            concurrency that is as good as none, longest pause ms; runner/breaker.py says more
-- budget     '' or cap, a first try's worth, per ms: millionths of a retry. What rules say of a breaker goes before both
-- gate:<key>   HASH PX: u closed until ms, n concurrency ('' any), why, s '' closed, open, recovering; m: that concurrency,
--              failures in a row, openings in a row, good probes, last step ms, window, calls and failures in it and in
--              the one before, last write ms, budget, its time, end of its line, end of the gate's line
-- probes:<key> ZSET PX: jobs that gate_enter.lua let through a narrow gate -> counted until ms
-- gates        ZSET: gates that hold somebody up -> forgotten at ms
--
-- GIVES now ms, then five a call: state, closed until ms, concurrency, what changed (opened, paused, closed, or ''), why
-- FAILS BADVERDICT: a call has none of the verdicts above; nothing is written
-- COST  O(1) a call; each gate is read and written once a call of the script
-- USES  now text numbers overruled gate_load open_gate gate_save gate_shut gate_free gate_count gate_learn gate_refill
local at = now(now_ms)
local open, answers = {}, { at }
local by_people = {
  open = function(gate, call, policy)
    local till = gate.u
    gate_shut(gate, at, 0, policy, call.why)
    gate.u, gate.o = math.max(till, at + call.retry_ms), math.max(1, gate.o - 1)
    return 'opened'
  end,
  resume = function(gate, _, policy)
    if gate.s ~= '' then
      gate.s, gate.u, gate.l, gate.t, gate.why = 'recovering', 0, math.max(gate.l, policy.probes), at, 'resumed by hand'
    end
    return ''
  end,
  reset = gate_free,
}
local known = { ok = true, failed = true, throttled = true, none = true, open = true, resume = true, reset = true }

local function told(i)
  local call = { verdict = calls(i + 3), count = tonumber(calls(i + 4)), retry_ms = tonumber(calls(i + 5)) }
  call.took_ms, call.is_retry, call.jitter, call.why = tonumber(calls(i + 6)), calls(i + 7) == '1', tonumber(calls(i + 8)), calls(i + 9)
  return call
end

for i = 4, calls_n, 12 do
  if not known[calls(i)] then
    return redis.error_reply('BADVERDICT ' .. calls(i))
  end
end
for i = 1, calls_n, 12 do
  local key, call, n = calls(i), told(i), #answers
  local gate, policy, budget = open[key] or gate_load(here, key, at), overruled(here, key, calls(i + 1), calls(i + 10), calls(i + 11))
  open[key] = gate
  local change = (by_people[call.verdict] or function() return gate_learn(gate, at, call, policy) end)(gate, call, policy)
  if gate.was ~= '' or gate.s ~= '' then
    redis.call('ZREM', here .. 'probes:' .. key, calls(i + 2))
  end
  if budget and not call.is_retry then
    gate_refill(gate, at, budget, budget.share * call.count)
  end
  gate.wants_ms = math.max(gate.wants_ms, 2 * policy.window, policy.cap)
  gate.is_touched = gate.is_touched or call.verdict ~= 'none' or budget or gate.was ~= ''
  answers[n + 1], answers[n + 2], answers[n + 3] = gate.s, text(gate.u), gate.s == '' and '' or text(gate.l)
  answers[n + 4], answers[n + 5] = change, gate.why
end
for _, gate in pairs(open) do
  if gate.is_touched then
    gate_save(queue, here, gate, at)
  end
end
return answers
