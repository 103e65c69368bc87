-- snooze(...): an attempt ended and its job comes back later; no attempt is spent. `place` as in finish.
local function snooze(batch, arq, history, id, fence, due, place, why)
  reopen(batch, arq, id, due)
  redis.call('HSET', history, 'f', fence, 'w', why, 't', place)
  redis.call('HINCRBY', history, 's', place == '' and 1 or 0)
  redis.call('DECR', arq .. 'retry:' .. id)
end
