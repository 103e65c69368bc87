-- signal: hand data to a job for the next wait of that name; one that waits for it now is due at once.
--
-- KEYS  queue   zset  job id -> due at (ms)
-- ARGV  arq     str   prefix of arq's keys
-- ARGV  ours    str   prefix of our keys
-- ARGV  now_ms  int   0 = ask the server
-- ARGV  id      str   the job
-- ARGV  name    str   of the signal
-- ARGV  key     str   names this one; the same key again is the same signal
-- ARGV  data    str   json
-- ARGV  limit   int   bytes that all records of the job may take
-- GIVES 1 recorded (also before, under this key), 0 there is no such job (any more), 3 full; then nothing is written
-- FAILS nothing
-- COST  O(log n); a job that is due already, or parked in a lane (1e15 and above), keeps its place
-- USES  now text room
local history, sent = ours .. 'job:' .. id, 'sent:' .. key
local due = tonumber(redis.call('ZSCORE', queue, id))
if not due then
  return 0
end
if redis.call('HEXISTS', history, sent) == 1 then
  return 1
end
local counter = 'signals:' .. name
local number = (tonumber(redis.call('HGET', history, counter)) or 0) + 1
local slot = 'wait:' .. name .. '#' .. number
if not room(history, #slot + #counter + #sent + #data, limit) then
  return 3
end
local is_awaited = redis.call('HEXISTS', history, slot) == 1
redis.call('HSET', history, slot, '+' .. data, counter, number, sent, '')
local at = now(now_ms)
if is_awaited and due > at and due < 1e15 and redis.call('EXISTS', arq .. 'in-progress:' .. id) == 0 then
  redis.call('ZADD', queue, 'XX', text(at), id)
  redis.call('HSET', history, 'w', '')
end
return 1
