-- restore: take a charge that the gateway has and we do not into the ledger, as closed.
--
-- KEYS  pay     hash  the payment
-- KEYS  op      hash  the operation
-- KEYS  audit   list  transitions, hash-chained
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  op_id   str   the operation
-- ARGV  to      str   its state
-- ARGV  fields  rest  name, value of the operation; repeated
-- GIVES 1 restored, 0 it is there
-- FAILS nothing
-- COST  O(1)
-- USES  now text table_of note reserve move_money
if redis.call('EXISTS', op) == 1 then
  return 0
end
local given, flat = {}, {}
for i = 1, fields_n, 2 do
  given[fields(i)], flat[i], flat[i + 1] = fields(i + 1), fields(i), fields(i + 1)
end
redis.call('HSET', op, 'state', to, unpack(flat))
reserve(pay, op_id, given)
redis.call('HSET', pay, 'ref', given.ref)
note(audit, now(now_ms), op_id, '-', to, 'restored from the gateway')
move_money(pay, given, to)
return 1
