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
-- Eleven a tick, at most 100 ticks; an empty id moves on without a job.
--
-- GIVES two a tick: a word and a number
-- GIVES MADE tick; SKIPPED tick (an earlier one has not ended); BUFFERED tick; EXISTS tick (there is such a job)
-- GIVES MOVED tick; ALREADY last; EARLY ms left; PAUSED last; NEW last (first seen, or another rule: goes on from now)
-- GIVES ENDED last (its count is used up)
-- FAILS nothing
-- COST  O(log n) a tick, and one EXISTS for each earlier job that may still be there
-- USES  now text instances
local at = now(now_ms)
local given = {}

local function make(id, due, payload)
  if redis.call('EXISTS', arq .. 'job:' .. id, arq .. 'result:' .. id, ours .. 'dead:' .. id) > 0 then
    return 'EXISTS'
  end
  redis.call('SET', arq .. 'job:' .. id, payload)
  redis.call('ZADD', queue, due, id)
  redis.call('ZREM', abort, id)
  return 'MADE'
end

local function place(key, i, overlap, most)
  local alive = instances(key, arq)
  local id, due, payload = ticks(i + 8), ticks(i + 9), ticks(i + 10)
  if #alive > 0 and overlap ~= 'allow' or (most > 0 and #alive >= most) then
    if overlap == 'buffer_one' and redis.call('HEXISTS', key, 'next_id') == 0 then
      redis.call('HSET', key, 'next_id', id, 'next_payload', payload)
      return 'BUFFERED'
    end
    redis.call('HINCRBY', key, 'skipped', 1)
    return 'SKIPPED'
  end
  local word = make(id, due, payload)
  alive[#alive + 1] = id
  redis.call('HSET', key, 'jobs', table.concat(alive, '\n'))
  redis.call('HINCRBY', key, 'made', 1)
  return word
end

local function tick(i)
  local key = ours .. 'schedule:' .. ticks(i)
  local known = redis.call('HMGET', key, 'last', 'print', 'paused', 'made')
  if known[2] ~= ticks(i + 1) then
    redis.call('HSET', key, 'last', text(at), 'print', ticks(i + 1))
    return 'NEW', text(at)
  end
  local limit, wanted = tonumber(ticks(i + 7)), tonumber(ticks(i + 3))
  if known[3] then
    return 'PAUSED', known[1]
  elseif known[1] ~= ticks(i + 2) then
    return 'ALREADY', known[1]
  elseif wanted > at then
    return 'EARLY', text(wanted - at)
  elseif limit > 0 and tonumber(known[4] or 0) >= limit then
    return 'ENDED', known[1]
  end
  redis.call('HSET', key, 'last', ticks(i + 3))
  if ticks(i + 4) ~= '0' then
    redis.call('HINCRBY', key, 'missed', ticks(i + 4))
  end
  if ticks(i + 8) == '' then
    return 'MOVED', ticks(i + 3)
  end
  return place(key, i, ticks(i + 5), tonumber(ticks(i + 6))), ticks(i + 3)
end

for i = 1, ticks_n, 11 do
  given[#given + 1], given[#given + 2] = tick(i)
end
return given
