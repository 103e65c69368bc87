-- dead_letters_tell: one worker takes it on itself to tell of a death that no worker saw, and enqueues what follows.
--
-- KEYS  queue    zset  job id -> due at (ms)
-- KEYS  untold   set   dead letters nobody was told of
-- KEYS  nodes_ended zset nodes of workflows that ended
-- ARGV  arq      str   prefix of arq's keys
-- ARGV  ours     str   prefix of our keys
-- ARGV  now_ms   int   0 = ask the server
-- ARGV  id       str   the job that died
-- ARGV  payload  str   of the job to enqueue; '' = none
-- ARGV  node     str   how it ended, if it is a node of a workflow; else ''
-- GIVES 1 if the caller is to tell, 0 if another did or the letter is gone
-- FAILS nothing
-- COST  O(log n)
-- USES  now text follow note_node
local at, at_us = now(now_ms)
if redis.call('SREM', untold, id) == 0 then
  return 0
end
if payload ~= '' then
  follow(queue, arq, ours, id, text(at), payload)
end
note_node(nodes_ended, id, at, text(at_us), node)
return 1
