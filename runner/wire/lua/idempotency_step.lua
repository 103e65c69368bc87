-- idempotency_step: record how far the owner of a record is, before it goes on.
--
-- KEYS  ours    str   prefix of our keys
-- ARGV  steps   rest  digest, owner, data; repeated, at most 500
-- GIVES one number a step: 1 recorded, 0 lost (another has the record, or it has ended: nothing written)
-- FAILS nothing
-- COST  O(1) a step
local answers = {}
for i = 1, steps_n, 3 do
  local record = ours .. 'once:' .. steps(i)
  local known = redis.call('HMGET', record, 's', 'o')
  local is_mine = known[2] == steps(i + 1) and (known[1] == 'P' or known[1] == 'U')
  if is_mine then
    redis.call('HSET', record, 'd', steps(i + 2))
  end
  answers[#answers + 1] = is_mine and 1 or 0
end
return answers
