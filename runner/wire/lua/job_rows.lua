-- job_rows: what a list says of each of some jobs of one queue.
--
-- KEYS  queue    zset  job id -> due at (ms)
-- KEYS  running  hash  job id -> token fence worker alone
-- ARGV  arq      str   prefix of arq's keys
-- ARGV  ours     str   prefix of our keys
-- ARGV  now_ms   int   0 = ask the server
-- ARGV  most     int   bytes of each payload that are given
-- ARGV  ids      rest  the jobs, at most 1,000
-- GIVES now ms, then one list a job: id, due ms or false when it is not in the queue, begin of its payload, bytes of the
-- GIVES whole, attempts, 1 if it is leased, its running entry or false, why it waits, its progress
-- FAILS nothing
-- COST  O(log n) a job
-- USES  now text due_of
local rows = { (now(now_ms)) }
for i = 1, ids_n do
  local id = ids(i)
  local history = redis.call('HMGET', ours .. 'job:' .. id, 'w', 'p')
  rows[i + 1] = {
    id,
    due_of(redis.call('ZSCORE', queue, id)),
    redis.call('GETRANGE', arq .. 'job:' .. id, 0, most - 1),
    redis.call('STRLEN', arq .. 'job:' .. id),
    redis.call('GET', arq .. 'retry:' .. id) or '0',
    redis.call('EXISTS', arq .. 'in-progress:' .. id),
    redis.call('HGET', running, id),
    history[1] or '',
    history[2] or '',
  }
end
return rows
