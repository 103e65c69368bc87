-- idempotency_begin: ask, for each key, whether its effect has happened; if not, become the one who makes it happen.
--
-- FLAGS none
-- KEYS  ours      str   prefix of our keys
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  lease_ms  int   the record is the owner's so long unless renewed
-- ARGV  bell      str   channel of the caller, to be told when a busy record ends
-- ARGV  asks      pack  digest, fingerprint, owner; repeated, at most 500
--
-- runner:once:<digest> STRING, msgpack: owner "token fence id" or '', until ms or '', state, fingerprint, data, bells
--   P in progress   held until    data: what steps recorded
--   U unknown       held until    data: what steps recorded; at most one owner at a time finds out
--   D done          known until   data: the result
--   F failed        known until   data: the error; a later attempt of the same job (a replay) may try again
-- P and U never expire. No record has a TTL of the server's: is_over() says which count for nothing, sweep() takes them away.
--
-- GIVES three values for each ask that is not answered 'new': which one it is, from 0, then word and text
-- GIVES recover steps; done result; failed error; conflict fingerprint; busy "ms-of-lease-left id-of-holder"
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(1) an ask
-- USES  now text supersedes word fresh opened is_over
local at = now(now_ms)
local till, answers, keys, news = text(at + lease_ms), {}, {}, {}
local held = cmsgpack.pack(till, 'P')
for i = 1, #asks, 3 do
  local key = ours .. 'once:' .. asks[i]
  keys[#keys + 1] = key
  local n = #news
  news[n + 1], news[n + 2] = key, word(asks[i + 2]) .. held .. word(asks[i + 1]) .. '\160\160'
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
  if is_over(state, ends, at) then
    put(n, news[n * 2])
    return nil
  elseif known ~= fingerprint then
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
