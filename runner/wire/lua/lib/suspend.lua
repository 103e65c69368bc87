-- suspend(...): an attempt ended because its job waits: due when its slot's time is over, or at once when what it waits
-- for has come meanwhile. No attempt is spent.
local function suspend(batch, arq, history, id, fence, at, slot, why)
  local till = string.match(redis.call('HGET', history, slot) or '', '^%?(%d+)$')
  reopen(batch, arq, id, till or text(at))
  redis.call('HSET', history, 'f', fence, 't', '', 'w', till and why or '')
  redis.call('DECR', arq .. 'retry:' .. id)
end
