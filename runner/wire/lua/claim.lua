-- claim: lease up to `limit` due jobs of one queue to one worker.
--
-- KEYS  queue      zset  job id -> due at (ms)
-- KEYS  running    hash  job id -> token fence worker alone
-- KEYS  suspects   zset  jobs that wait to run alone
-- KEYS  dead       zset  dead letters
-- KEYS  abort      zset  cancellations asked for
-- KEYS  ward       str   the worker that becomes idle to run suspects
-- KEYS  paused     hash  there while nothing of this queue shall start
-- ARGV  arq        str   prefix of arq's keys
-- ARGV  ours       str   prefix of our keys
-- ARGV  now_ms     int   0 = ask the server
-- ARGV  token      str   random, of this call; proves the leases
-- ARGV  worker     str   name of the worker
-- ARGV  limit      int   at most this many jobs, 1..500
-- ARGV  lease_ms   int   length of the lease
-- ARGV  is_idle    int   1: the worker runs nothing, so it may take a suspect, alone
-- ARGV  is_resent  int   1: an earlier call with this token may have got through; its jobs are given back first
-- GIVES now ms, ms until the next due job (-1: none), 1 if more may be due, 1 if this worker shall isolate suspects,
-- GIVES then eleven a job: id, payload or false, attempt, due ms, fence, deaths, snoozes, last delay ms, alone, aborted,
-- GIVES flags: 1 it had a place in line and its turn has come; 2 it has durable records, 4 and has begun before
-- FAILS nothing
-- COST  O(log n + limit); looks at most at 1,000 jobs that cannot be taken; is_resent adds O(running)
-- USES  now text owner holds settle vacant recollect judge exhume weigh bury resign erase grant enter report give_back recall
-- USES  waiting next_due isolate
limit = redis.call('EXISTS', paused) == 1 and 0 or math.min(limit, 500)
local at, at_us = now(now_ms)
local lease_end, fresh_fence, since = text(at + lease_ms), text(at_us), text(at)
local found, taken, alone = { at, -1, 0, 0 }, 0, 0
local any_abort = redis.call('EXISTS', abort) == 1 and abort

local function take(page)
  local lot, passed = vacant(arq, page, limit - taken)
  recollect(lot, arq, ours, running, any_abort)
  for i, id in ipairs(lot.ids) do
    local verdict, fence, deaths, snoozes, last_ms, flags = 'run', fresh_fence, 0, 0, 0, 0
    if lot.held[i] or lot.has_history then
      verdict, fence, deaths, snoozes, last_ms, flags = judge(ours .. 'job:' .. id, lot.held[i], at_us, is_idle == 1 and taken == 0)
    end
    if verdict == 'poison' then
      bury(dead, arq, ours, id, since, queue, verdict, lot.attempts[i] or 0, '')
      erase(queue, running, suspects, abort, arq, ours, id)
    elseif verdict == 'wait' then
      redis.call('ZADD', queue, 'XX', lease_end, id)
      redis.call('ZADD', suspects, 'NX', since, id)
      redis.call('HDEL', running, id)
    else
      taken, alone = taken + 1, verdict == 'alone' and 1 or 0
      local attempt = grant(lot, i, token, lease_ms, lease_end, token .. ' ' .. fence .. ' ' .. worker .. ' ' .. alone)
      report(found, id, lot.payloads[i], attempt, lot.dues[i], fence, deaths, snoozes, last_ms, alone, lot.aborts[i], flags)
    end
    if alone == 1 then
      redis.call('ZREM', suspects, id)
      break
    end
  end
  enter(lot, queue, running)
  return passed
end

if is_resent == 1 then
  take(recall(queue, running, arq, ours, token, since))
end
if is_idle == 1 and taken == 0 then
  take(waiting(suspects, queue))
end
local looked, passed = 0, 0
while taken < limit and alone == 0 and looked < limit + 1000 do
  local size = math.min(500, math.max(limit - taken, passed))
  local page = redis.call('ZRANGE', queue, '-inf', since, 'BYSCORE', 'LIMIT', passed, size, 'WITHSCORES')
  looked, passed = looked + size, passed + take(page)
  found[3] = #page == size * 2 and passed < looked and 1 or 0
  if #page < size * 2 then
    break
  end
end
found[2] = next_due(queue, at)
found[4] = limit > 0 and isolate(ward, suspects, worker, is_idle, lease_ms) or 0
return found
