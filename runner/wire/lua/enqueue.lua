-- enqueue: put jobs into one queue; a job whose id exists in any form is left as it is.
--
-- FLAGS none
-- KEYS  queue     zset  job id -> due at (ms)
-- KEYS  abort     zset  cancellations asked for; a stale one must not meet a new job of that id
-- ARGV  arq       str   prefix of arq's keys
-- ARGV  ours      str   prefix of our keys
-- ARGV  here      str   prefix of the queue's lanes and gates
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  jobs      rest  id, due at (ms; 0 = use the delay), delay (ms), payload, spec of its lane or ''; repeated,
-- jobs: at most 500
-- GIVES one number a job: 1 created, 0 there was one already; the same payload again counts as created (re-sent)
-- FAILS nothing (the server refuses it whole with OOM when memory is full)
-- COST  O(log n) a job
-- USES  now text parked lane_of spec_of rule rank stride virtual_time activate shelve
local at = text((now(now_ms)))
local given, seen, puts, dues, ids, marks = {}, {}, {}, {}, {}, {}
local ready = { ids = {}, dues = {}, specs = {} }

local function place(id, due, spec)
  ids[#ids + 1] = id
  if spec ~= '' then
    marks[#marks + 1], marks[#marks + 2] = id, spec
  end
  if spec ~= '' and tonumber(due) <= tonumber(at) then
    local n = #ready.ids + 1
    ready.ids[n], ready.dues[n], ready.specs[n] = id, due, spec
  else
    dues[#dues + 1], dues[#dues + 2] = due, id
  end
end

for i = 1, jobs_n, 5 do
  local id, payload = jobs(i), jobs(i + 3)
  local created = not seen[id]
  if created and redis.call('EXISTS', arq .. 'job:' .. id, arq .. 'result:' .. id, ours .. 'dead:' .. id) > 0 then
    created = redis.call('GET', arq .. 'job:' .. id) == payload
    seen[id] = true
  end
  given[#given + 1] = created and 1 or 0
  if created and not seen[id] then
    seen[id] = true
    local due = jobs(i + 1)
    if due == '0' then
      due = jobs(i + 2) == '0' and at or text(tonumber(at) + tonumber(jobs(i + 2)))
    end
    puts[#puts + 1], puts[#puts + 2] = arq .. 'job:' .. id, payload
    place(id, due, jobs(i + 4))
  end
end
if #ids > 0 then
  redis.call('MSET', unpack(puts))
  redis.call('ZREM', abort, unpack(ids))
end
if #dues > 0 then
  redis.call('ZADD', queue, unpack(dues))
end
if #marks > 0 then
  redis.call('HSET', here .. 'laned', unpack(marks))
  shelve(queue, here, ready.ids, ready.dues, ready.specs)
end
return given
