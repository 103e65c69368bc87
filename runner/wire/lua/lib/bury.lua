-- bury(...): make a job a dead letter: its history, payload and reason under one key, its id in the dead ZSET.
local function bury(dead, arq, ours, id, at_ms, queue, reason, attempts, note)
  local letter = ours .. 'dead:' .. id
  local payload = redis.call('GET', arq .. 'job:' .. id)
  redis.call('DEL', letter)
  if redis.call('EXISTS', ours .. 'job:' .. id) == 1 then
    redis.call('RENAME', ours .. 'job:' .. id, letter)
  end
  redis.call('HSET', letter, 'queue', queue, 'reason', reason, 'attempts', attempts, 'at', at_ms, 'note', note)
  if payload then
    redis.call('HSET', letter, 'payload', payload)
  end
  redis.call('ZADD', dead, at_ms, id)
end
