-- idempotency_finish: write how effects ended, and tell those who wait.
--
-- KEYS  ours    str   prefix of our keys
-- ARGV  ends    pack  digest, owner, state, ms to keep D and F; repeated, at most 500
-- ARGV  data    rest  of each end: the result, the error or ''
--
-- state  D done, F failed, U unknown, N not begun: the owner has made nothing happen, so the record goes unless it holds steps
--
-- GIVES one number an end: 1 written, 2 written before by the same owner, 0 lost (another has the record)
-- FAILS nothing
-- COST  O(1) an end
-- USES  text opened ring
local answers, keys = {}, {}
for i = 1, #ends, 4 do
  keys[#keys + 1] = ours .. 'once:' .. ends[i]
end
local get, put, write = opened(keys)
for n = 1, #keys do
  local owner, state, value, verdict = ends[n * 4 - 2], ends[n * 4 - 1], get(n), 0
  local holder, _, was, fingerprint, steps, bells
  if value then
    holder, _, was, fingerprint, steps, bells = cmsgpack.unpack(value)
  end
  if holder == owner then
    verdict = (was == 'D' or was == 'F') and 2 or 1
  end
  if verdict == 1 and state == 'N' and was == 'P' and steps == '' then
    redis.call('DEL', keys[n])
  elseif verdict == 1 and (state == 'U' or state == 'N') then
    put(n, cmsgpack.pack('', '', 'U', fingerprint, steps, ''))
  elseif verdict == 1 then
    put(n, cmsgpack.pack(owner, '', state, fingerprint, data(n), ''), text(ends[n * 4]))
  end
  if verdict == 1 and bells ~= '' then
    ring(bells, ends[n * 4 - 3])
  end
  answers[n] = verdict
end
write()
return answers
