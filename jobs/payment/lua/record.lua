-- record: write down what became of an operation in hand, move the money, and let go of it.
--
-- KEYS  pay         hash  the payment
-- KEYS  op          hash  the operation
-- KEYS  audit       list  transitions, hash-chained
-- KEYS  open        zset  operation -> look at it at (ms)
-- KEYS  outbox      hash  message id -> what the merchant is told
-- KEYS  paused      str   until when (ms) the gateway wants no new requests, PX
-- KEYS  declines    zset  declined attempts of the same card -> at ms
-- KEYS  review      zset  operation that a person has to look at -> since ms
-- ARGV  now_ms      int   0 = ask the server
-- ARGV  op_id       str   the operation
-- ARGV  token       str   proves the lease
-- ARGV  to          str   its next state
-- ARGV  wait_ms     int   look at it again after this; -1: never by itself
-- ARGV  retry_ms    int   a new attempt may be asked for after this; 0 never
-- ARGV  pause_ms    int   rest of the gateway; 0 none
-- ARGV  recall_ms   int   a declined attempt of a card is remembered so long
-- ARGV  evidence    str   what was seen
-- ARGV  message_id  str   empty: the merchant is told nothing
-- ARGV  message     str   json
-- ARGV  fields      rest  name, value to set on the operation; repeated
-- GIVES 1 written (also when this is a repeat), 0 lost: somebody else has it, nothing was written
-- FAILS nothing
-- COST  O(log n)
-- USES  now text table_of note move_money count_decline
local at = now(now_ms)
local was = table_of(op)
if was.done == token and was.state == to then
  return 1
elseif was.token ~= token then
  return 0
end
local changed = {}
for i = 1, fields_n do
  changed[i] = fields(i)
end
redis.call('HSET', op, 'state', to, 'done', token, unpack(changed))
redis.call('HDEL', op, 'token', 'lease', 'verb')
if retry_ms > 0 then
  redis.call('HSET', op, 'retry_at', text(at + retry_ms))
end
local ref = redis.call('HGET', op, 'ref')
if was.kind == 'charge' and ref then
  redis.call('HSET', pay, 'ref', ref)
end
if to ~= was.state then
  note(audit, at, op_id, was.state, to, evidence)
  move_money(pay, was, to)
  count_decline(declines, was, to, op_id, at, redis.call('HGET', op, 'class') == 'hard', recall_ms)
end
if to == 'needs_review' then
  redis.call('ZADD', review, text(at), op_id)
end
if wait_ms < 0 then
  redis.call('ZREM', open, op_id)
else
  redis.call('ZADD', open, text(at + wait_ms), op_id)
end
if pause_ms > 0 then
  redis.call('SET', paused, text(at + pause_ms), 'PX', pause_ms)
end
if message_id ~= '' then
  redis.call('HSET', outbox, message_id, message)
end
return 1
