-- drop_oldest(...): make room: of the jobs that wait, the one that is due longest becomes a dead letter, be it in a lane or
-- not; whether there was one among the first 100 of each.
local function drop_oldest(queue, running, suspects, dead, abort, arq, ours, here, at_ms)
  local oldest, since
  for _, from in ipairs({ '-inf', '1e15' }) do
    local page = redis.call('ZRANGE', queue, from, '+inf', 'BYSCORE', 'LIMIT', 0, 100, 'WITHSCORES')
    for i = 1, #page, 2 do
      local id, due = page[i], tonumber(due_of(page[i + 1]))
      if redis.call('HEXISTS', running, id) == 0 and redis.call('EXISTS', arq .. 'in-progress:' .. id) == 0 then
        if not oldest or due < since then
          oldest, since = id, due
        end
        break
      end
    end
  end
  if oldest then
    local attempts = tonumber(redis.call('GET', arq .. 'retry:' .. oldest)) or 0
    bury(dead, arq, ours, oldest, at_ms, queue, 'dropped', attempts, '')
    erase(queue, running, suspects, abort, arq, ours, here, oldest, redis.call('HGET', here .. 'laned', oldest))
  end
  return oldest ~= nil
end
