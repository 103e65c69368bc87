-- lock_release: give up locks, or places in the line before them; a lock goes straight to whoever has waited longest.
--
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   how long the next holder has it unless it renews
-- ARGV  gives     pack  name, owner; repeated, at most 500
-- GIVES one number a lock: 1 released, 0 the caller did not hold it (any more): the lock is left as it is
-- FAILS nothing
-- COST  O(log waiters) a lock
-- USES  now text opened heir rise
local at, at_us = now(now_ms)
local till, answers, keys = text(at + lease_ms), {}, {}
for i = 1, #gives, 2 do
  keys[#keys + 1] = ours .. 'lock:' .. gives[i]
end
local get, put, write = opened(keys)

local function hand_over(n, name, fence)
  local first, bell = heir(ours, name, at)
  if first then
    put(n, cmsgpack.pack(first, till, rise(fence, at_us), '1'))
    redis.call('PUBLISH', bell, 'lock ' .. name .. ' ' .. first)
  end
  return first
end

for n = 1, #keys do
  local name, owner, value = gives[n * 2 - 1], gives[n * 2], get(n)
  local holder, fence, queued, _ = '', '0', ''
  if value then
    holder, _, fence, queued = cmsgpack.unpack(value)
  end
  if queued ~= '' and redis.call('ZREM', ours .. 'waiters:' .. name, owner) == 1 then
    redis.call('HDEL', ours .. 'waiting:' .. name, owner)
  end
  if holder == owner and not (queued ~= '' and hand_over(n, name, fence)) then
    put(n, cmsgpack.pack('', '0', fence, ''))
  end
  answers[n] = holder == owner and 1 or 0
end
write()
return answers
