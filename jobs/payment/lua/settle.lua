-- settle: write what a person found out of an operation that nobody else could, move the money, and tell the merchant.
--
-- KEYS  pay         hash  the payment
-- KEYS  op          hash  the operation
-- KEYS  audit       list  transitions, hash-chained
-- KEYS  review      zset  operation that a person has to look at -> since ms
-- KEYS  outbox      hash  message id -> what the merchant is told
-- ARGV  now_ms      int   0 = ask the server
-- ARGV  op_id       str   the operation
-- ARGV  token       str   random, of this call
-- ARGV  to          str   its state from now on
-- ARGV  ref         str   the gateway's name of it; empty: as it is
-- ARGV  evidence    str   who says so and why
-- ARGV  message_id  str   empty: the merchant is told nothing
-- ARGV  message     str   json
-- GIVES 1 written (also when this is a repeat), 0 it is not in review: nothing was written
-- FAILS nothing
-- COST  O(log n)
-- USES  now text table_of note move_money
local at, was = now(now_ms), table_of(op)
if was.done == token and was.state == to then
  return 1
elseif was.state ~= 'needs_review' then
  return 0
end
redis.call('HSET', op, 'state', to, 'done', token, 'why', evidence)
if ref ~= '' then
  redis.call('HSET', op, 'ref', ref)
end
local known = redis.call('HGET', op, 'ref')
if was.kind == 'charge' and known then
  redis.call('HSET', pay, 'ref', known)
end
note(audit, at, op_id, was.state, to, evidence)
move_money(pay, was, to)
redis.call('ZREM', review, op_id)
if message_id ~= '' then
  redis.call('HSET', outbox, message_id, message)
end
return 1
