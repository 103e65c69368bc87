-- lock_acquire: take locks, or a place in the line before them.
--
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   a lock, or a place in the line, is kept so long unless renewed
-- ARGV  bell      str   channel of the caller, to be told of a lock handed to it
-- ARGV  asks      pack  name, owner, 1 to wait in line or 0; repeated, at most 500
--
-- runner:lock:<name> STRING, msgpack: owner "token fence id" or '', held until ms, fence, 1 if somebody waits or ''.
-- runner:lock:<name> It never expires: neither does the fence.
--
-- GIVES one value an ask: the fence, as text; or, as a number, ms until the present holder's lease ends unless renewed
-- GIVES A free lock goes to whoever has waited longest. Asking again gives the holder the same fence, a waiter the same place.
-- FAILS nothing
-- COST  O(log waiters) an ask
-- USES  now text supersedes opened heir rise
local at, at_us = now(now_ms)
local till, answers, keys = text(at + lease_ms), {}, {}
for i = 1, #asks, 3 do
  keys[#keys + 1] = ours .. 'lock:' .. asks[i]
end
local get, put, write = opened(keys)

local function line_up(name, owner, place)
  redis.call('ZADD', ours .. 'waiters:' .. name, 'NX', text(at_us + place), owner)
  redis.call('HSET', ours .. 'waiting:' .. name, owner, till .. ' ' .. bell)
end

local function contend(n, value, name, owner, may_wait)
  local holder, ends, fence, queued = cmsgpack.unpack(value)
  local is_free = holder == '' or tonumber(ends) <= at or supersedes(owner, holder)
  local told
  if holder ~= owner and may_wait and (queued ~= '' or not is_free) then
    line_up(name, owner, n - 1)
    queued = '1'
  end
  if holder == owner then
    ends = till
  elseif is_free then
    holder, ends, fence = owner, till, rise(fence, at_us)
    if queued ~= '' then
      holder, told = heir(ours, name, at)
      queued = holder and queued or ''
      holder = holder or owner
    end
  end
  if told then
    redis.call('PUBLISH', told, 'lock ' .. name .. ' ' .. holder)
  end
  if holder == owner or is_free or may_wait then
    put(n, cmsgpack.pack(holder, ends, fence, queued))
  end
  return holder == owner and fence or tonumber(ends) - at
end

local first = text(at_us)
for n = 1, #keys do
  local owner, value = asks[n * 3 - 1], get(n)
  if value then
    answers[n] = contend(n, value, asks[n * 3 - 2], owner, asks[n * 3] == 1)
  else
    put(n, cmsgpack.pack(owner, till, first, ''))
    answers[n] = first
  end
end
write()
return answers
