-- idempotency_begin: ask, for each key, whether its effect has happened; if not, become the one who makes it happen.
--
-- FLAGS none
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   the record is the owner's so long unless renewed
-- ARGV  bell      str   channel of the caller, to be told when a busy record ends
-- ARGV  asks      rest  digest, fingerprint, owner; repeated, at most 500
--
-- runner:once:<digest> HASH: s state, p fingerprint, o owner "token fence id", u held until ms, d data, w bells
--   P in progress   no TTL      d: what steps recorded
--   U unknown       no TTL      d: what steps recorded; at most one owner at a time finds out
--   D done          has a TTL   d: the result
--   F failed        has a TTL   d: the error; a later attempt of the same job (a replay) may try again
--
-- GIVES two values an ask: word and text
-- GIVES new ''; recover steps; done result; failed error; conflict fingerprint; busy "ms-of-lease-left id-of-holder"
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(1) an ask
-- USES  now text supersedes
local at = now(now_ms)
local till, answers = text(at + lease_ms), {}
local settled = { D = 'done', F = 'failed' }

local function wait(record, bells)
  if not string.find(' ' .. bells .. ' ', ' ' .. bell .. ' ', 1, true) and #bells < 4096 then
    redis.call('HSET', record, 'w', bells .. ' ' .. bell)
  end
end

for i = 1, asks_n, 3 do
  local digest, fingerprint, owner = asks(i), asks(i + 1), asks(i + 2)
  local record = ours .. 'once:' .. digest
  local known = redis.call('HMGET', record, 's', 'p', 'o', 'u', 'd', 'w')
  local state, holder, ends, data = known[1], known[3], tonumber(known[4] or 0), known[5] or ''
  local word, said = 'new', ''
  if not state then
    redis.call('HSET', record, 's', 'P', 'p', fingerprint, 'o', owner, 'u', till)
  elseif known[2] ~= fingerprint then
    word, said = 'conflict', known[2]
  elseif state == 'D' or state == 'F' and not supersedes(owner, holder) then
    word, said = settled[state], data
  elseif state == 'P' and holder == owner and data == '' then
    redis.call('HSET', record, 'u', till)
  elseif holder and holder ~= owner and state ~= 'F' and ends > at and not supersedes(owner, holder) then
    word, said = 'busy', text(ends - at) .. ' ' .. string.match(holder, '^%S+ %S+ (.*)$')
    wait(record, known[6] or '')
  else
    if state == 'F' then
      redis.call('PERSIST', record)
      redis.call('HDEL', record, 'd')
      data = ''
    end
    redis.call('HSET', record, 's', 'U', 'o', owner, 'u', till)
    word, said = 'recover', data
  end
  answers[#answers + 1], answers[#answers + 2] = word, said
end
return answers
