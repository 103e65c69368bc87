-- gate_enter: may a job call now? Asked where no claim has looked at its gates, and of retries that have a budget.
--
-- KEYS  queue    zset  job id -> due at (ms)
-- KEYS  here     str   prefix of what belongs to this queue alone
-- ARGV  now_ms   int   0 = ask the server
-- ARGV  hold_ms  int   one who was let through and never reports counts for so long
-- ARGV  far_ms   int   nobody gets a time to come back that is farther off
-- ARGV  jobs     rest  job, 1 for a retry, 1 if its turn in the line has come, jitter (thousandths), how many gates, and
-- jobs: gate, breaker and budget of each; repeated, at most 500
--
-- GIVES five a job: ms until it shall come back (0: go), which of its gates holds it up (from 1), the word for it
-- GIVES (closed, full, budget), until when that gate is closed (ms), why
-- FAILS nothing
-- COST  O(log n) a gate, n those let through
-- USES  now text numbers overruled gate_load open_gate gate_save gate_refill gate_place
local at = now(now_ms)
local open, answers = {}, {}

local function refusal(job, gate, budget)
  if at < gate.u then
    return 'closed', function() return gate_place(gate, 'ln', at, gate.u, 10, far_ms, job.jitter) end
  elseif gate.s ~= '' and not redis.call('ZSCORE', here .. 'probes:' .. gate.key, job.id) then
    if redis.call('ZCOUNT', here .. 'probes:' .. gate.key, '(' .. text(at), '+inf') >= gate.l then
      return 'full', function() return gate_place(gate, 'ln', at, at, 10, far_ms, job.jitter) end
    end
  end
  if budget and job.is_retry then
    gate_refill(gate, at, budget, 0)
    if gate.bt < 1000000 or gate.bn > at and not job.has_turn then
      return 'budget', function() return gate_place(gate, 'bn', at, at, math.ceil(1000000 / budget.floor), far_ms, job.jitter) end
    end
  end
end

local function pass(job, gate, budget)
  if gate.s ~= '' then
    redis.call('ZREMRANGEBYSCORE', here .. 'probes:' .. gate.key, '-inf', text(at))
    redis.call('ZADD', here .. 'probes:' .. gate.key, text(at + hold_ms), job.id)
    redis.call('PEXPIRE', here .. 'probes:' .. gate.key, hold_ms)
  end
  if budget and job.is_retry then
    gate.bt, gate.is_touched = gate.bt - 1000000, true
  end
end

local i = 1
while i < jobs_n do
  local job = { id = jobs(i), is_retry = jobs(i + 1) == '1', has_turn = jobs(i + 2) == '1', jitter = tonumber(jobs(i + 3)) }
  local asked, answer, n = {}, { 0, 0, '', '0', '' }, #answers
  for which = 1, tonumber(jobs(i + 4)) do
    local key = jobs(i + 2 + 3 * which)
    local _, budget = overruled(here, key, jobs(i + 3 + 3 * which), '', jobs(i + 4 + 3 * which))
    local gate = open[key] or gate_load(here, key, at)
    open[key], asked[which] = gate, { gate, budget }
    local word, wait = refusal(job, gate, budget)
    if word and answer[1] == 0 then
      answer = { wait(), which, word, text(gate.u), gate.why }
    end
  end
  for _, each in ipairs(answer[1] == 0 and asked or {}) do
    pass(job, each[1], each[2])
  end
  for part = 1, 5 do
    answers[n + part] = answer[part]
  end
  i = i + 5 + 3 * #asked
end
for _, gate in pairs(open) do
  if gate.is_touched then
    gate_save(queue, here, gate, at)
  end
end
return answers
