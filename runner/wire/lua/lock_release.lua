-- lock_release: give up locks, or places in the line before them; a lock goes straight to whoever has waited longest.
--
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   how long the next holder has it unless it renews
-- ARGV  gives     rest  name, owner; repeated, at most 500
-- GIVES one number a lock: 1 released, 0 the caller did not hold it (any more): the lock is left as it is
-- FAILS nothing
-- COST  O(log waiters) a lock
-- USES  now text heir occupy
local at, at_us = now(now_ms)
local till, answers = text(at + lease_ms), {}
for i = 1, gives_n, 2 do
  local name, owner = gives(i), gives(i + 1)
  local lock = ours .. 'lock:' .. name
  local held = redis.call('HMGET', lock, 'o', 'w')
  if held[2] and redis.call('ZREM', ours .. 'waiters:' .. name, owner) == 1 then
    redis.call('HDEL', ours .. 'waiting:' .. name, owner)
  end
  if held[1] == owner then
    local first, bell
    if held[2] then
      first, bell = heir(ours, name, at)
    end
    if first then
      occupy(ours, name, first, at_us, till)
      redis.call('PUBLISH', bell, 'lock ' .. name .. ' ' .. first)
    else
      redis.call('HDEL', lock, 'o', 'u')
    end
  end
  answers[#answers + 1] = held[1] == owner and 1 or 0
end
return answers
