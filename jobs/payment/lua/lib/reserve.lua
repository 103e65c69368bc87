-- reserve(...): set an operation's amount aside on its payment, before anything is sent.
local function reserve(pay, op_id, asked)
  local reserved = { capture = 'capturing', void = 'voiding', refund = 'refunding' }
  if asked.kind == 'charge' then
    redis.call('HSET', pay, 'currency', asked.currency)
  else
    redis.call('HINCRBY', pay, reserved[asked.kind], asked.kind == 'void' and 1 or asked.amount)
  end
  redis.call('HSET', pay, 'o' .. redis.call('HLEN', pay), op_id)
end
