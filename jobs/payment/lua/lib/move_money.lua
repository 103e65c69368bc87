-- move_money(pay, what, to): bring a payment's sums in line with an operation's new state. A reservation ends when the
-- operation has come to its end; it never ends while the outcome is open.
local FAILED = { declined_soft = true, declined_hard = true, rejected = true }
local RESERVED = { capture = 'capturing', void = 'voiding', refund = 'refunding' }
local MOVED = { capture = 'captured', void = 'voided', refund = 'refunded' }
local function move_money(pay, what, to)
  local amount = what.kind == 'void' and 1 or tonumber(what.amount)
  if what.kind ~= 'charge' then
    if to == 'succeeded' then
      redis.call('HINCRBY', pay, MOVED[what.kind], amount)
    end
    if to == 'succeeded' or FAILED[to] then
      redis.call('HINCRBY', pay, RESERVED[what.kind], -amount)
    end
  elseif to == 'succeeded' then
    redis.call('HSET', pay, 'authorized', amount, 'captured', amount)
  elseif to == 'authorized' then
    redis.call('HSET', pay, 'authorized', amount)
  end
end
