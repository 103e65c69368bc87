-- claim: lease up to `limit` due jobs of one queue to one worker.
--
-- KEYS  queue      zset  job id -> due at (ms)
-- KEYS  running    hash  job id -> token fence worker alone
-- KEYS  suspects   zset  jobs that must run alone
-- KEYS  dead       zset  dead letters
-- KEYS  abort      zset  cancellations asked for
-- KEYS  ward       str   the worker that isolates suspects
-- ARGV  arq        str   prefix of arq's keys
-- ARGV  ours       str   prefix of our keys
-- ARGV  now_ms     int   0 = ask the server
-- ARGV  token      str   random, of this call; proves the leases
-- ARGV  worker     str   name of the worker
-- ARGV  limit      int   at most this many jobs, 1 or more
-- ARGV  lease_ms   int   length of the lease
-- ARGV  is_idle    int   1: the worker runs nothing, so it may take a suspect, alone
-- ARGV  is_resent  int   1: an earlier call with this token may have got through; give its jobs again
-- GIVES now ms, ms until the next due job (-1: none), 1 if more may be due, 1 if this worker shall isolate suspects,
-- GIVES then ten a job: id, payload or false, attempt, due ms, fence, deaths, snoozes, last delay ms, alone, aborted
-- FAILS nothing
-- COST  O(log n + limit); passes over at most 1,000 jobs that others hold
-- USES  now text owner bury judge
local at, at_us = now(now_ms)
local lease_end, any_abort = text(at + lease_ms), redis.call('EXISTS', abort) == 1
local found, taken, alone = {}, 0, 0
local moves, entries, freed, removed, waiting = {}, {}, {}, {}, {}

local function give(id, payload, attempt, due, fence, deaths, snoozes, last_ms)
  local aborted = any_abort and redis.call('ZREM', abort, id) or 0
  for _, value in ipairs({ id, payload, attempt, due, fence, deaths, snoozes or 0, last_ms or 0, alone, aborted }) do
    found[#found + 1] = value
  end
  taken = taken + 1
end

local function take(id, due, payload, held)
  local lease = arq .. 'in-progress:' .. id
  if not redis.call('SET', lease, token, 'NX', 'PX', lease_ms) then
    return
  end
  local verdict, fence, deaths, snoozes, last_ms = judge(ours .. 'job:' .. id, held, at_us, is_idle == 1 and taken == 0)
  if verdict == 'poison' then
    bury(dead, arq, ours, id, text(at), queue, 'poison', redis.call('GET', arq .. 'retry:' .. id) or 0, '')
    redis.call('DEL', arq .. 'job:' .. id, arq .. 'retry:' .. id, lease)
    redis.call('ZREM', suspects, id)
    removed[#removed + 1], freed[#freed + 1] = id, id
  elseif verdict == 'wait' then
    redis.call('DEL', lease)
    moves[#moves + 1], moves[#moves + 2] = lease_end, id
    waiting[#waiting + 1], waiting[#waiting + 2] = text(at), id
    freed[#freed + 1] = id
  else
    alone = verdict == 'alone' and 1 or 0
    local attempt = redis.call('INCR', arq .. 'retry:' .. id)
    redis.call('PERSIST', arq .. 'job:' .. id)
    if attempt > 1 then
      redis.call('PERSIST', arq .. 'retry:' .. id)
    end
    moves[#moves + 1], moves[#moves + 2] = lease_end, id
    entries[#entries + 1], entries[#entries + 2] = id, token .. ' ' .. text(fence) .. ' ' .. worker .. ' ' .. alone
    give(id, payload, attempt, due, text(fence), deaths, snoozes, last_ms)
  end
end

if is_resent == 1 then
  local all = redis.call('HGETALL', running)
  for i = 1, #all, 2 do
    local theirs, fence, _, was_alone = owner(all[i + 1])
    if theirs == token then
      alone = was_alone and 1 or 0
      local id, record = all[i], redis.call('HMGET', ours .. 'job:' .. all[i], 'd', 's', 'l')
      local payload, attempt = redis.call('GET', arq .. 'job:' .. id), redis.call('GET', arq .. 'retry:' .. id)
      give(id, payload, tonumber(attempt or 1), lease_end, text(fence), record[1] or 0, record[2], record[3])
    end
  end
end
if is_idle == 1 and taken == 0 then
  for _, id in ipairs(redis.call('ZRANGE', suspects, 0, 9)) do
    local due = redis.call('ZSCORE', queue, id)
    if not due then
      redis.call('ZREM', suspects, id)
    elseif taken == 0 then
      take(id, due, redis.call('GET', arq .. 'job:' .. id), redis.call('HGET', running, id))
    end
  end
end

local offset, more = 0, 0
while taken < limit and alone == 0 and offset < 1000 do
  local want = limit - taken
  local page = redis.call('ZRANGE', queue, '-inf', text(at), 'BYSCORE', 'LIMIT', offset, want, 'WITHSCORES')
  if #page == 0 then
    break
  end
  local ids, payloads = {}, {}
  for i = 1, #page, 2 do
    ids[#ids + 1], payloads[#payloads + 1] = page[i], arq .. 'job:' .. page[i]
  end
  payloads = redis.call('MGET', unpack(payloads))
  local held = redis.call('HMGET', running, unpack(ids))
  for i, id in ipairs(ids) do
    if alone == 0 then
      take(id, page[i * 2], payloads[i], held[i])
    end
  end
  more, offset = #ids == want and 1 or 0, offset + want
  if more == 0 then
    break
  end
end

if #moves > 0 then
  redis.call('ZADD', queue, 'XX', unpack(moves))
end
if #entries > 0 then
  redis.call('HSET', running, unpack(entries))
end
if #freed > 0 then
  redis.call('HDEL', running, unpack(freed))
end
if #removed > 0 then
  redis.call('ZREM', queue, unpack(removed))
end
if #waiting > 0 then
  redis.call('ZADD', suspects, unpack(waiting))
end
local isolate = 0
if is_idle == 0 and redis.call('EXISTS', suspects) == 1 then
  redis.call('SET', ward, worker, 'NX', 'PX', lease_ms)
  isolate = redis.call('GET', ward) == worker and 1 or 0
end
local next_due = redis.call('ZRANGE', queue, '(' .. text(at), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
local wait = next_due and math.max(1, math.ceil(tonumber(next_due) - at)) or -1
return { at, wait, more, isolate, unpack(found) }
