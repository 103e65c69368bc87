-- idempotency_step: record how far the owner of a record is, before it goes on.
--
-- KEYS  ours    str   prefix of our keys
-- ARGV  steps   pack  digest, owner; repeated, at most 500
-- ARGV  data    rest  of each step: all that is recorded so far
-- GIVES one number a step: 1 recorded, 0 lost (another has the record, or it has ended: nothing written)
-- FAILS nothing
-- COST  O(1) a step
-- USES  opened
local answers, keys = {}, {}
for i = 1, #steps, 2 do
  keys[#keys + 1] = ours .. 'once:' .. steps[i]
end
local get, put, write = opened(keys)
for n = 1, #keys do
  local owner, value = steps[n * 2], get(n)
  local holder, ends, state, fingerprint, _, bells
  if value then
    holder, ends, state, fingerprint, _, bells = cmsgpack.unpack(value)
  end
  local is_mine = holder == owner and (state == 'P' or state == 'U')
  if is_mine then
    put(n, cmsgpack.pack(owner, ends, state, fingerprint, data(n), bells))
  end
  answers[n] = is_mine and 1 or 0
end
write()
return answers
