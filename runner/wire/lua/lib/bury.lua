-- bury(...): make a job a dead letter: its history, payload and reason under one key, its id in the dead ZSET. Without
-- a note no worker knows of it yet: it is kept to be told.
local function bury(dead, arq, ours, id, at_ms, queue, reason, attempts, note)
  local letter, history = ours .. 'dead:' .. id, ours .. 'job:' .. id
  local payload = redis.call('GET', arq .. 'job:' .. id)
  exhume(dead, ours, id)
  redis.call('DEL', letter)
  if redis.call('EXISTS', history) == 1 then
    redis.call('RENAME', history, letter)
  end
  redis.call('HSET', letter, 'queue', queue, 'reason', reason, 'attempts', attempts, 'at', at_ms, 'note', note)
  if payload then
    redis.call('HSET', letter, 'payload', payload)
  end
  weigh(dead, letter)
  redis.call('ZADD', dead, at_ms, id)
  if note == '' then
    redis.call('SADD', dead .. '-untold', id)
  end
end
