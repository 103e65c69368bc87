-- keep_held: move the end of what an owner holds: locks, idempotency records in progress.
--
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   length of the lease from now
-- ARGV  holds     rest  key without the prefix, owner; repeated, at most 500
-- GIVES one number a hold: 1 kept, 0 lost: another has it, or it was given up
-- FAILS nothing
-- COST  O(1) a hold
-- USES  now text
local till, answers = text(now(now_ms) + lease_ms), {}
for i = 1, holds_n, 2 do
  local key = ours .. holds(i)
  local held = redis.call('HMGET', key, 'o', 'u')
  local is_mine = held[1] == holds(i + 1) and held[2] ~= false
  if is_mine then
    redis.call('HSET', key, 'u', till)
  end
  answers[#answers + 1] = is_mine and 1 or 0
end
return answers
