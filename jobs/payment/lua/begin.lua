-- begin: take an operation in hand, making it and reserving its amount when it is new.
--
-- FLAGS none
-- KEYS  pay       hash  the payment: its sums, its operations
-- KEYS  op        hash  the operation
-- KEYS  audit     list  transitions, hash-chained
-- KEYS  open      zset  operation -> look at it at (ms)
-- KEYS  proven    str   there: nothing of this ledger was ever lost
-- KEYS  paused    str   until when (ms) the gateway wants no new requests
-- KEYS  declines  zset  declined attempts of the same card -> at ms
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  op_id     str   the operation
-- ARGV  token     str   random, of this call; proves the lease
-- ARGV  job       str   the job that asks
-- ARGV  fence     int   of the job's attempt
-- ARGV  lease_ms  int   length of the lease
-- ARGV  asked     int   1: the gateway was asked and does not know the operation; 2: nothing will be sent, only looked at
-- ARGV  safe_ms   int   so long after its first send a key is sure to be honoured; 0 never
-- ARGV  caps      str   "count ms count ms": so many declined attempts of a card in so many ms; none: not asked for
-- ARGV  fields    rest  name, value: the operation as it is when it is new; repeated
-- GIVES what to do, ms, and the operation as name, value, …
-- GIVES send, replay, look, ask: it is yours; done: it is closed; wait: somebody has it so long (ms); rest: the gateway
-- GIVES capped: the card was declined too often, may be tried again after so long (ms), or never (-1): nothing is written
-- GIVES stale: a later attempt of this job has it; mismatch: it is another one; refused and the word for why
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(1)
-- USES  now text table_of note refusal reserve take differs replying exhausted
local at = now(now_ms)
local asks, new, was = {}, {}, table_of(op)
for i = 1, fields_n, 2 do
  asks[fields(i)], new[i], new[i + 1] = fields(i + 1), fields(i), fields(i + 1)
end
local state, holder, give = was.state, was.token, replying(pay, op, op_id, at)

if state and differs(was, asks) then
  return give('mismatch', 0)
elseif holder == token and not (was.verb == 'ask' and asked == 1) then
  return give(was.verb, 0)
elseif holder and was.job == job and tonumber(was.fence) > fence then
  return give('stale', 0)
elseif holder and holder ~= token and tonumber(was.lease) > at and not (was.job == job and tonumber(was.fence) < fence) then
  return give('wait', tonumber(was.lease) - at)
end

local rests = tonumber(redis.call('GET', paused) or '0') - at
local reopens = state == 'declined_soft'
  and tonumber(asks.attempt) == tonumber(was.attempt) + 1
  and at >= tonumber(was.retry_at)
if rests > 0 and (not state or reopens or state == 'created') then
  return give('rest', rests)
end
local rest_ms = caps ~= 'none' and asks.kind == 'charge' and (not state or reopens) and exhausted(declines, at, caps)
if rest_ms then
  return give('capped', rest_ms)
elseif not state then
  local why = asked == 2 and 'no_payment' or refusal(table_of(pay), asks)
  if why then
    return { 'refused', 0, 'why', why }
  end
  reserve(pay, op_id, asks)
end
if not state or reopens then
  redis.call('HSET', op, unpack(new))
  note(audit, at, op_id, state or '-', 'created', asks.key)
  state = 'created'
end
local is_known = redis.call('EXISTS', proven) == 1 or asked == 1
local verb, to = take(op, state, at, is_known, safe_ms, asked == 2)
if verb == 'done' then
  return give(verb, 0)
end
if to ~= state then
  note(audit, at, op_id, state, to, verb .. ' ' .. job)
end
redis.call('HSET', op, 'state', to, 'verb', verb, 'token', token, 'lease', text(at + lease_ms))
if asked ~= 2 then
  redis.call('HSET', op, 'job', job, 'fence', text(fence))
end
redis.call('ZADD', open, text(at + lease_ms), op_id)
return give(verb, 0)
