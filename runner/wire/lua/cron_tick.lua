-- cron_tick: make the jobs of due ticks, each once, whoever asks and however often.
--
-- A schedule's `last` only rises, and only from the value the caller planned from: no leader, no lock, and no key that
-- could expire and let a tick through twice.
--
-- FLAGS none
-- KEYS  queue   zset  job id -> due at (ms)
-- KEYS  abort   zset  cancellations asked for
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  ours    str   prefix of our keys
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  ticks   rest  name, fingerprint, last planned from, tick, missed, overlap, most, limit, id, due, payload
--
-- Eleven a tick, at most 100 ticks; an empty id moves on without a job, and a tick of 0 only announces the rule.
--
-- GIVES two a tick: a word and a number
-- GIVES MADE tick; SKIPPED tick (an earlier one has not ended); BUFFERED tick; EXISTS tick (there is such a job)
-- GIVES MOVED tick; ALREADY last; EARLY ms left; PAUSED last; NEW last (first seen, or another rule: goes on from now)
-- GIVES ENDED last (its count is used up, or it was removed); OLD last (it was redefined: read it again)
-- FAILS nothing
-- COST  O(log n) a tick, and one EXISTS for each earlier job that may still be there
-- USES  now text instances spawn place
local at = now(now_ms)
local given = {}

local function refusal(i, known, wanted)
  local last, limit = known[1], tonumber(ticks(i + 7))
  if known[5] then
    return 'ENDED', last
  elseif known[6] and known[2] ~= ticks(i + 1) then
    return 'OLD', last
  elseif known[3] then
    return 'PAUSED', last
  elseif last ~= ticks(i + 2) then
    return 'ALREADY', last
  elseif wanted > at then
    return 'EARLY', text(wanted - at)
  elseif limit > 0 and tonumber(known[4] or 0) + (known[7] and 1 or 0) >= limit then
    return 'ENDED', last
  end
end

local function tick(i)
  local key = ours .. 'schedule:' .. ticks(i)
  local known = redis.call('HMGET', key, 'last', 'print', 'paused', 'made', 'gone', 'defined', 'next_id')
  local is_news = known[2] ~= ticks(i + 1) or known[5] or known[6]
  if not known[1] or ticks(i + 3) == '0' and is_news then
    redis.call('HDEL', key, 'gone', 'defined')
    redis.call('PERSIST', key)
    redis.call('HSET', key, 'last', text(at), 'print', ticks(i + 1))
    return 'NEW', text(at)
  end
  local wanted = tonumber(ticks(i + 3))
  local word, number = refusal(i, known, wanted)
  if word then
    return word, number
  end
  redis.call('HSET', key, 'last', ticks(i + 3))
  if ticks(i + 4) ~= '0' then
    redis.call('HINCRBY', key, 'missed', ticks(i + 4))
  end
  if ticks(i + 8) == '' then
    return 'MOVED', ticks(i + 3)
  end
  local job = { id = ticks(i + 8), due = ticks(i + 9), payload = ticks(i + 10), late = text(at - wanted) }
  return place(queue, abort, arq, ours, key, job, ticks(i + 5), tonumber(ticks(i + 6))), ticks(i + 3)
end

for i = 1, ticks_n, 11 do
  given[#given + 1], given[#given + 2] = tick(i)
end
return given
