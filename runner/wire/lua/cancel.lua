-- cancel: end a job that waits, or ask the worker that runs it to stop.
--
-- KEYS  queue     zset  job id -> due at (ms)
-- KEYS  running   hash  job id -> token fence worker alone
-- KEYS  suspects  zset  jobs that wait to run alone
-- KEYS  abort     zset  cancellations asked for
-- KEYS  nodes_ended zset nodes of workflows that ended
-- ARGV  arq       str   prefix of arq's keys
-- ARGV  ours      str   prefix of our keys
-- ARGV  here      str   prefix of the queue's lanes and gates
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  id        str   the job
-- ARGV  result    str   envelope that says cancelled
-- ARGV  keep_ms   int   how long it is kept; negative for ever, 0 not at all
-- ARGV  only_waiting int 1: leave a running job alone
-- ARGV  node      str   how it ended, if it is a node of a workflow; else ''
-- GIVES 0 there is no such job (any more), 1 cancelled (also by this very call, sent before), 2 asked, 3 left alone
-- FAILS nothing
-- COST  O(log n)
-- USES  now text keep lane_of spec_of vacate deactivate unshelve resign erase note_node
local at, at_us = now(now_ms)
if not redis.call('ZSCORE', queue, id) then
  return redis.call('GET', arq .. 'result:' .. id) == result and 1 or 0
end
if redis.call('EXISTS', arq .. 'in-progress:' .. id) == 1 or redis.call('HEXISTS', running, id) == 1 then
  if only_waiting == 1 then
    return 3
  end
  redis.call('ZADD', abort, text(at), id)
  return 2
end
erase(queue, running, suspects, abort, arq, ours, here, id, redis.call('HGET', here .. 'laned', id))
keep(arq .. 'result:' .. id, result, keep_ms)
note_node(nodes_ended, id, at, text(at_us), node)
return 1
