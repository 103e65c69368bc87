-- queue_standing: how many jobs of one queue wait, run and are dead, and since when the first of them is ready.
--
-- KEYS  queue     zset  job id -> due at (ms)
-- KEYS  running   hash  job id -> token fence worker alone
-- KEYS  suspects  zset  jobs that wait to run alone
-- KEYS  dead      zset  dead letters
-- KEYS  gates     zset  gate -> until when it holds jobs up (ms)
-- KEYS  paused    hash  there while the queue is paused: at (ms), by
-- ARGV  arq       str   prefix of arq's keys
-- ARGV  now_ms    int   0 = ask the server
-- GIVES now ms, ready, scheduled, running, dead, suspects, due ms of the first ready job (-1: none),
-- GIVES paused at ms (0: it is not), by whom, gates that hold jobs up
-- FAILS nothing
-- COST  O(log n); looks at up to 1,000 running entries, and at the first 100 due jobs for leases of stock workers
-- USES  now text vacant due_of
local at = now(now_ms)
local due, held = redis.call('ZCOUNT', queue, '-inf', text(at)), redis.call('HLEN', running)
if held > 0 and held <= 1000 then
  for _, score in ipairs(redis.call('ZMSCORE', queue, unpack(redis.call('HKEYS', running)))) do
    if not score or tonumber(score) <= at then
      held = held - 1 -- its lease ran out: it waits already, or it is gone
    end
  end
end
local parked = redis.call('ZCOUNT', queue, '1e15', '+inf') -- ready, in lanes
local head = redis.call('ZRANGE', queue, '1e15', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
local page = redis.call('ZRANGE', queue, '-inf', text(at), 'BYSCORE', 'LIMIT', 0, 100, 'WITHSCORES')
local lot = vacant(arq, page, 100)
local leased = #lot.passed
local scheduled = math.max(0, redis.call('ZCARD', queue) - due - parked - held)
local since, by = unpack(redis.call('HMGET', paused, 'at', 'by'))
local counts = { at, due - leased + parked, scheduled, held + leased, redis.call('ZCARD', dead), redis.call('ZCARD', suspects) }
local first, parked_first = tonumber(lot.dues[1] or ''), tonumber(due_of(head[2] or ''))
counts[7] = first and parked_first and math.min(first, parked_first) or first or parked_first or -1
counts[8], counts[9] = tonumber(since or 0), by or ''
counts[10] = redis.call('ZCOUNT', gates, text(at), '+inf')
return counts
