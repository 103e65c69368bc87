-- idempotency_finish: write how effects ended, and tell those who wait; forget some that ended long ago.
--
-- KEYS  ours    str   prefix of our keys
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  ends    pack  digest, owner, state, ms to keep D and F; repeated, at most 500
-- ARGV  data    rest  of each end: the result, the error or ''
--
-- state  D done, F failed, U unknown, N not begun: the owner has made nothing happen, so the record goes unless it holds steps
-- runner:once-until ZSET: digests of one call with spaces between -> until ms. One write for all, where a TTL is one for each.
--
-- GIVES one number an end: 1 written, 2 written before by the same owner, 0 lost (another has the record)
-- FAILS nothing
-- COST  O(1) an end, and what is forgotten: 1,000 at most
-- USES  now text word opened is_over ring sweep
local at, answers, keys, lots = now(now_ms), {}, {}, {}
for i = 1, #ends, 4 do
  keys[#keys + 1] = ours .. 'once:' .. ends[i]
end
local get, put, write = opened(keys)

local function known(n)
  local keep_ms = ends[n * 4]
  local lot = lots[keep_ms]
  if not lot then
    local till = text(at + keep_ms)
    lot = { till = till, packed = word(till) }
    lots[keep_ms] = lot
  end
  lot[#lot + 1] = ends[n * 4 - 3]
  return lot.packed
end

for n = 1, #keys do
  local owner, state, verdict = ends[n * 4 - 2], ends[n * 4 - 1], 0
  local value, holder, till, was, fingerprint, steps, bells = get(n)
  if value then
    holder, till, was, fingerprint, steps, bells = cmsgpack.unpack(value)
  end
  if holder == owner and not is_over(was, till, at) then
    verdict = (was == 'D' or was == 'F') and 2 or 1
  end
  if verdict == 1 and state == 'N' and was == 'P' and steps == '' then
    redis.call('DEL', keys[n])
  elseif verdict == 1 and (state == 'U' or state == 'N') then
    put(n, cmsgpack.pack('', '', 'U', fingerprint, steps, ''))
  elseif verdict == 1 then
    put(n, word(owner) .. known(n) .. '\161' .. state .. word(fingerprint) .. word(data(n)) .. '\160')
  end
  if verdict == 1 and bells ~= '' then
    ring(bells, ends[n * 4 - 3])
  end
  answers[n] = verdict
end
write()
for _, lot in pairs(lots) do
  redis.call('ZADD', ours .. 'once-until', lot.till, table.concat(lot, ' '))
end
sweep(ours, ours .. 'once-until', at)
return answers
