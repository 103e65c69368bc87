-- open_gate(queue, here, key): after `n`, `u` or a rule of a gate has changed: the next claim looks at it again, and
-- workers that sleep are woken, for any change of the queue is pushed to them, one that is taken back at once too.
local function open_gate(queue, here, key)
  if redis.call('ZADD', here .. 'shut', 'XX', 'CH', 0, key) == 1 then
    redis.call('ZADD', queue, 0, '')
    redis.call('ZREM', queue, '')
  end
end
