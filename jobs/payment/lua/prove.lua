-- prove: note that the ledger and the gateway agree, so that new operations need not be asked for first.
--
-- KEYS  proven  str  since when (ms) nothing of this ledger was lost
-- ARGV  now_ms  int  0 = ask the server
-- GIVES 1 noted now, 0 noted before
-- FAILS nothing
-- COST  O(1)
-- USES  now text
return redis.call('SETNX', proven, text(now(now_ms)))
