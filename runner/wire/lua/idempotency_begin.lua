-- idempotency_begin: ask, for each key, whether its effect has happened; if not, become the one who makes it happen.
--
-- FLAGS none
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   the record is the owner's so long unless renewed
-- ARGV  bell      str   channel of the caller, to be told when a busy record ends
-- ARGV  asks      pack  digest, fingerprint, owner; repeated, at most 500
--
-- runner:once:<digest> STRING, msgpack: owner "token fence id" or '', held until ms or '', state, fingerprint, data, bells
--   P in progress   no TTL      data: what steps recorded
--   U unknown       no TTL      data: what steps recorded; at most one owner at a time finds out
--   D done          has a TTL   data: the result
--   F failed        has a TTL   data: the error; a later attempt of the same job (a replay) may try again
--
-- GIVES three values for each ask that is not answered 'new': which one it is, from 0, then word and text
-- GIVES recover steps; done result; failed error; conflict fingerprint; busy "ms-of-lease-left id-of-holder"
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(1) an ask
-- USES  now text supersedes fresh opened
local at = now(now_ms)
local till, answers, keys, news = text(at + lease_ms), {}, {}, {}
for i = 1, #asks, 3 do
  local key = ours .. 'once:' .. asks[i]
  keys[#keys + 1] = key
  news[#news + 1], news[#news + 2] = key, cmsgpack.pack(asks[i + 2], till, 'P', asks[i + 1], '', '')
end
if fresh(keys, news) then
  return answers
end
local get, put, write = opened(keys)
local settled = { D = 'done', F = 'failed' }

local function listening(bells)
  if string.find(' ' .. bells .. ' ', ' ' .. bell .. ' ', 1, true) or #bells >= 4096 then
    return bells
  end
  return bells .. ' ' .. bell
end

local function answer(n, value, fingerprint, owner)
  local holder, ends, state, known, data, bells = cmsgpack.unpack(value)
  if known ~= fingerprint then
    return 'conflict', known
  elseif state == 'D' or state == 'F' and not supersedes(owner, holder) then
    return settled[state], data
  elseif state == 'P' and holder == owner and data == '' then
    put(n, cmsgpack.pack(owner, till, state, known, data, bells))
    return nil
  elseif state ~= 'F' and holder ~= '' and holder ~= owner and tonumber(ends) > at and not supersedes(owner, holder) then
    put(n, cmsgpack.pack(holder, ends, state, known, data, listening(bells)))
    return 'busy', text(tonumber(ends) - at) .. ' ' .. string.match(holder, '^%S+ %S+ (.*)$')
  end
  data = state == 'F' and '' or data
  put(n, cmsgpack.pack(owner, till, 'U', known, data, bells))
  return 'recover', data
end

for n = 1, #keys do
  local fingerprint, owner, value = asks[n * 3 - 1], asks[n * 3], get(n)
  if not value then
    put(n, news[n * 2])
  else
    local word, said = answer(n, value, fingerprint, owner)
    if word then
      local i = #answers
      answers[i + 1], answers[i + 2], answers[i + 3] = n - 1, word, said
    end
  end
end
write()
return answers
