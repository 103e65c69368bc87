-- recollect(...): add to a lot what is stored of its jobs: payloads, attempts, who held them, whether a cancellation is
-- asked for (1, 0), whether any has a history, and in a queue with lanes their specs; true where `specs` says no more.
local function recollect(lot, arq, ours, running, abort, here, specs)
  local ids, jobs, counters, histories = lot.ids, {}, {}, {}
  lot.jobs, lot.counters, lot.aborts, lot.specs = jobs, counters, {}, {}
  if #ids == 0 then
    return
  end
  for i, id in ipairs(ids) do
    jobs[i], counters[i], histories[i], lot.aborts[i] = arq .. 'job:' .. id, arq .. 'retry:' .. id, ours .. 'job:' .. id, 0
  end
  lot.payloads, lot.attempts = redis.call('MGET', unpack(jobs)), redis.call('MGET', unpack(counters))
  lot.held, lot.has_history = redis.call('HMGET', running, unpack(ids)), redis.call('EXISTS', unpack(histories)) > 0
  for i, spec in ipairs(here and not specs and redis.call('HMGET', here .. 'laned', unpack(ids)) or {}) do
    lot.specs[i] = spec
  end
  for i, id in ipairs(specs and ids or {}) do
    lot.specs[i] = specs[id]
  end
  for i, asked_at in ipairs(abort and redis.call('ZMSCORE', abort, unpack(ids)) or {}) do
    lot.aborts[i] = asked_at and 1 or 0
  end
end
