-- step: record the result of a durable step of a running job.
--
-- KEYS  queue    zset  job id -> due at (ms)
-- KEYS  running  hash  job id -> token fence worker alone
-- ARGV  arq      str   prefix of arq's keys
-- ARGV  ours     str   prefix of our keys
-- ARGV  id       str   the job
-- ARGV  token    str   proves the lease
-- ARGV  step     str   field of the record
-- ARGV  result   str   json
-- ARGV  limit    int   bytes that all records of the job may take
-- GIVES 1 recorded (also by this very call, sent before), 0 lost, 2 nobody holds it, 3 full: nothing is written
-- FAILS nothing
-- COST  O(1)
-- USES  holds settle room
local history = ours .. 'job:' .. id
local verdict = settle(queue, running, arq, { id }, { token })[1]
if verdict ~= 1 or redis.call('HGET', history, step) == result then
  return verdict
end
if not room(history, #step + #result, limit) then
  return 3
end
redis.call('HSET', history, step, result)
return 1
