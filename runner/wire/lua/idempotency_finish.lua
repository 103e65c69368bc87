-- idempotency_finish: write how effects ended, and tell those who wait.
--
-- KEYS  ours    str   prefix of our keys
-- ARGV  ends    rest  digest, owner, state (D done, F failed, U unknown), ms to keep D and F, data; repeated, at most 500
-- GIVES one number an end: 1 written, 2 written before by the same owner, 0 lost (another has the record)
-- FAILS nothing
-- COST  O(1) an end
-- USES  ring
local answers = {}
for i = 1, ends_n, 5 do
  local digest, owner, state = ends(i), ends(i + 1), ends(i + 2)
  local record = ours .. 'once:' .. digest
  local known, verdict = redis.call('HMGET', record, 's', 'o', 'w'), 1
  if known[2] ~= owner then
    verdict = 0
  elseif known[1] == 'D' or known[1] == 'F' then
    verdict = 2
  elseif state == 'U' then
    redis.call('HSET', record, 's', 'U')
    redis.call('HDEL', record, 'o', 'u', 'w')
  else
    redis.call('HSET', record, 's', state, 'd', ends(i + 4))
    redis.call('HDEL', record, 'u', 'w')
    redis.call('PEXPIRE', record, ends(i + 3))
  end
  if verdict == 1 then
    ring(known[3], digest)
  end
  answers[#answers + 1] = verdict
end
return answers
