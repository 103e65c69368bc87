-- room: how many more jobs one queue takes in.
--
-- KEYS  queue    zset  job id -> due at (ms)
-- KEYS  running  hash  job id -> token fence worker alone
-- ARGV  most     int   that may wait
-- GIVES how many more may come
-- FAILS nothing
-- COST  O(1)
-- USES  backlog
return math.max(0, most - backlog(queue, running))
