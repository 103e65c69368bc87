-- rearm(letter): a job that died because a signal did not come waits for it anew: its last wait that ran out of time is
-- forgotten, and signals that came after it move up by one.
local function rearm(letter)
  local slot = redis.call('HGET', letter, 'x')
  local name, number = string.match(slot or '', '^wait:(.*)#(%d+)$')
  if not name or redis.call('HGET', letter, 'reason') ~= 'no_signal' then
    return
  end
  local last = tonumber(redis.call('HGET', letter, 'signals:' .. name))
  for n = tonumber(number), last - 1 do
    redis.call('HSET', letter, 'wait:' .. name .. '#' .. n, redis.call('HGET', letter, 'wait:' .. name .. '#' .. n + 1))
  end
  redis.call('HDEL', letter, 'wait:' .. name .. '#' .. last)
  redis.call('HSET', letter, 'signals:' .. name, last - 1)
end
