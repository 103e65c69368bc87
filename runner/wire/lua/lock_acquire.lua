-- lock_acquire: take locks, or a place in the line before them.
--
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   a lock, or a place in the line, is kept so long unless renewed
-- ARGV  bell      str   channel of the caller, to be told of a lock handed to it
-- ARGV  asks      rest  name, owner, 1 to wait in line or 0; repeated, at most 500
--
-- runner:lock:<name> HASH: f fence (never expires), o owner "token fence id", u held until ms, w somebody waits
--
-- GIVES two values an ask: fence or '', and ms until the present holder's lease ends unless renewed
-- GIVES A free lock goes to whoever has waited longest. Asking again gives the holder the same fence, a waiter the same place.
-- FAILS nothing
-- COST  O(log waiters) an ask
-- USES  now text supersedes heir occupy
local at, at_us = now(now_ms)
local till, answers = text(at + lease_ms), {}

local function hand_over(name)
  local first, first_bell = heir(ours, name, at)
  if first then
    occupy(ours, name, first, at_us, till)
    redis.call('PUBLISH', first_bell, 'lock ' .. name .. ' ' .. first)
  end
  return first
end

for i = 1, asks_n, 3 do
  local name, owner, may_wait = asks(i), asks(i + 1), asks(i + 2) == '1'
  local lock = ours .. 'lock:' .. name
  local held = redis.call('HMGET', lock, 'o', 'u', 'f', 'w')
  local holder, ends = held[1], tonumber(held[2] or 0)
  local is_free = not holder or ends <= at or supersedes(owner, holder)
  local fence, left_ms = '', 0
  if holder == owner then
    redis.call('HSET', lock, 'u', till)
    fence = held[3]
  elseif is_free and not held[4] then
    fence = occupy(ours, name, owner, at_us, till)
  else
    if may_wait then
      redis.call('ZADD', ours .. 'waiters:' .. name, 'NX', text(at_us + (i - 1) / 3), owner)
      redis.call('HSET', ours .. 'waiting:' .. name, owner, till .. ' ' .. bell)
      redis.call('HSET', lock, 'w', 1)
    end
    local first = is_free and hand_over(name)
    if first == owner or is_free and not first then
      fence = first and redis.call('HGET', lock, 'f') or occupy(ours, name, owner, at_us, till)
    else
      left_ms = first and lease_ms or ends - at
    end
  end
  answers[#answers + 1], answers[#answers + 2] = fence, left_ms
end
return answers
