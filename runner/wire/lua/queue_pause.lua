-- queue_pause: keep a queue's jobs from starting, or let them start again; what runs goes on.
--
-- KEYS  queue   zset  job id -> due at (ms)
-- KEYS  paused  hash  there while the queue is paused: at (ms), by
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  wanted  int   1 pauses, 0 resumes
-- ARGV  by      str   who does it
-- GIVES 1 done, 0 it was so already
-- FAILS nothing
-- COST  O(log n)
-- USES  now text
if redis.call('EXISTS', paused) == wanted then
  return 0
end
if wanted == 1 then
  redis.call('HSET', paused, 'at', text((now(now_ms))), 'by', by)
  return 1
end
redis.call('DEL', paused)
-- A member that comes and goes: idle workers are told of a change of the queue, and look.
redis.call('ZADD', queue, 0, '')
redis.call('ZREM', queue, '')
return 1
