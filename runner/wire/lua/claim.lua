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
-- ARGV  here       str   prefix of the queue's lanes and gates
-- ARGV  now_ms     int   0 = ask the server
-- ARGV  token      str   random, of this call; proves the leases
-- ARGV  worker     str   name of the worker
-- ARGV  limit      int   at most this many jobs, 0..500
-- ARGV  lease_ms   int   length of the lease
-- ARGV  is_idle    int   1: the worker runs nothing, so it may take a suspect, alone
-- ARGV  is_resent  int   1: an earlier call with this token may have got through; its jobs are given back first
-- GIVES now ms, ms until there may be work (-1: none in sight), 1 if more may be due, 1 if this worker shall isolate
-- GIVES suspects, 1 if lanes wait under gates (2: and somebody is to be cancelled), then twelve a job: id, payload or
-- GIVES false, attempt, due ms, fence, deaths, snoozes, last delay ms, alone, aborted, flags: 1 it had a place in line and
-- GIVES its turn has come; 2 it has durable records, 4 and has begun before; 1 if it is of a lane (2: to be skipped)
-- FAILS nothing
-- COST  O(log n + limit); looks at most at 1,200 jobs that cannot be taken; is_resent adds O(running)
-- USES  now text owner holds settle vacant recollect judge exhume weigh bury grant enter report give_back recall waiting
-- USES  isolate parked lane_of spec_of rule rank stride virtual_time activate deactivate shelve gate_of park outlive serve
-- USES  walk line_up line_back line_down board ride_alone ride tenants_up due_of page_of look_again seal draw sort_out sift
-- USES  vacate unshelve resign erase put_back set_aside spare next_due outlook
limit = redis.call('EXISTS', paused) == 1 and 0 or math.min(limit, 500)
local at, at_us = now(now_ms)
local lease_end, since, found, taken, alone, draft = text(at + lease_ms), text(at), { at, -1, 0, 0, 0 }, 0, 0, { skipped = {} }
local lanes, any_abort = redis.call('EXISTS', here .. 'laned') == 1 and here, redis.call('EXISTS', abort) == 1 and abort

local function take(page, specs)
  local lot, i = vacant(arq, page, limit - taken), 0
  recollect(lot, arq, ours, running, any_abort, lanes, specs)
  while i < #lot.ids and alone == 0 do
    i = i + 1
    local id, spec = lot.ids[i], lot.specs[i]
    local verdict, fence, deaths, snoozes, last_ms, flags = judge(lot, i, ours, at_us, is_idle == 1 and taken == 0)
    if verdict == 'poison' then
      bury(dead, arq, ours, id, since, queue, verdict, lot.attempts[i] or 0, '')
      erase(queue, running, suspects, abort, arq, ours, here, id, spec and redis.call('HGET', here .. 'laned', id))
    elseif verdict == 'doubt' then
      spare(queue, running, arq, id, lot.held[i], lease_ms, lease_end)
    elseif verdict == 'wait' then
      set_aside(queue, running, suspects, id, lease_end, since)
    else
      taken, alone = taken + 1, verdict == 'alone' and 1 or 0
      local attempt = grant(lot, i, token, lease_ms, lease_end, token .. ' ' .. fence .. ' ' .. worker .. ' ' .. alone)
      local laned = spec and (draft.skipped[id] and 2 or 1) or 0
      report(found, id, lot.payloads[i], attempt, lot.dues[i], fence, deaths, snoozes, last_ms, alone, lot.aborts[i], flags, laned)
    end
  end
  enter(lot, queue, running, alone == 1 and suspects)
  put_back(queue, lanes, lot, i + 1, lease_end)
  return #lot.passed
end

take(is_resent == 1 and recall(queue, running, arq, ours, token, since) or {})
take(is_idle == 1 and taken == 0 and waiting(suspects, queue) or {})
local looked, passed = 0, 0
while taken < limit and alone == 0 and looked < limit + 1000 do
  local size = math.min(500, math.max(limit - taken, passed))
  local page = redis.call('ZRANGE', queue, '-inf', since, 'BYSCORE', 'LIMIT', passed, size, 'WITHSCORES')
  local is_last = #page < size * 2
  if lanes then
    sift(queue, here, running, at, is_last, looked == 0)
    page, draft = draw(queue, here, sort_out(queue, here, running, page, at), limit - taken, at, abort, found)
  end
  looked, passed = looked + size, passed + take(page, draft.specs)
  found[3] = not is_last and passed < looked and 1 or 0
  if is_last then
    break
  end
end
outlook(found, queue, here, at, lanes, limit > 0)
found[4] = limit > 0 and isolate(ward, suspects, worker, is_idle, alone, lease_ms) or 0
return found
