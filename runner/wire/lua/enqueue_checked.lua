-- enqueue_checked: put jobs into one queue as `enqueue` does, each only if there is room and no other stands for it.
--
-- The record of a unique job is `since id` under its digest; the hash `unique-jobs` marks jobs whose end frees theirs.
-- A record whose job is not there any more stands for nothing: a peer that does not know of records cannot leave one.
--
-- FLAGS none
-- KEYS  queue     zset  job id -> due at (ms)
-- KEYS  running   hash  job id -> token fence worker alone
-- KEYS  suspects  zset  jobs that wait to run alone
-- KEYS  dead      zset  dead letters
-- KEYS  abort     zset  cancellations asked for; a stale one must not meet a new job of that id
-- ARGV  arq       str   prefix of arq's keys
-- ARGV  ours      str   prefix of our keys
-- ARGV  here      str   prefix of the queue's lanes and gates
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  most      int   jobs that may wait; 0 = any number
-- ARGV  drops     int   1: a full queue makes room, and the job that is due longest becomes a dead letter
-- ARGV  most_owned int  jobs of one tenant that may have come in and not ended; 0 = any number, and they are not counted
-- ARGV  jobs      rest  id, due at (ms; 0 = use the delay), delay (ms), payload, spec of its lane or '', digest
--                       ('' = not unique), lasts, on conflict, period (ms), wait (ms), longest wait (ms); repeated, at most 500
--
-- lasts      done, started or period: until when a job stands for its digest
-- wait       0, or the due time is so far off, and moves with each call that replaces; at most `longest wait` after the first
--
-- GIVES two a job: CREATED id; DUPLICATE id (of the job that is there); REPLACED id (it has this payload now);
-- GIVES REJECTED id (of the job that is there); FULL, CROWDED (so many wait, are the tenant's). The same payload again answers as before.
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(log n) a job; one that drops another looks at 100 jobs
-- USES  now text exhume weigh bury resign parked due_of lane_of spec_of rule rank stride virtual_time activate deactivate
-- USES  vacate unshelve shelve set_lane supplant erase backlog drop_oldest incumbent install make_room own
-- USES  owned
local at = now(now_ms)
local given, waiting = {}, most > 0 and backlog(queue, running) or 0

local function drop()
  return drops == 1 and drop_oldest(queue, running, suspects, dead, abort, arq, ours, here, text(at))
end

local function admit(i)
  local _, lane = spec_of(jobs(i + 4))
  local tenant, id, payload, digest, wait_ms = lane.tenant, jobs(i), jobs(i + 3), jobs(i + 5), tonumber(jobs(i + 9))
  if redis.call('EXISTS', arq .. 'job:' .. id, arq .. 'result:' .. id, ours .. 'dead:' .. id) > 0 then
    return redis.call('GET', arq .. 'job:' .. id) == payload and 'CREATED' or 'DUPLICATE', id
  end
  if digest ~= '' then
    local word, holder, since = incumbent(running, arq, ours, payload, digest, jobs(i + 6), jobs(i + 7))
    if since then
      local due = wait_ms > 0 and text(math.min(at + wait_ms, since + tonumber(jobs(i + 10))))
      supplant(queue, abort, arq, here, at, holder, payload, jobs(i + 4), due)
      own(here, most_owned, tenant, holder)
    end
    if word then
      return word, holder
    end
  end
  local has_room, crowd = false, owned(here, most_owned, tenant)
  if crowd then
    return 'CROWDED', text(crowd)
  end
  has_room, waiting = make_room(waiting, most, drop)
  if not has_room then
    return 'FULL', text(waiting)
  end
  local due, delay_ms = jobs(i + 1), math.max(tonumber(jobs(i + 2)), wait_ms)
  redis.call('SET', arq .. 'job:' .. id, payload)
  due = due == '0' and text(at + delay_ms) or due
  redis.call('ZADD', queue, due, id)
  redis.call('ZREM', abort, id)
  set_lane(queue, here, id, due, at, jobs(i + 4))
  own(here, most_owned, tenant, id)
  if digest ~= '' then
    install(ours, id, text(at), digest, jobs(i + 6), jobs(i + 8))
  end
  return 'CREATED', id
end

for i = 1, jobs_n, 11 do
  given[#given + 1], given[#given + 2] = admit(i)
end
return given
