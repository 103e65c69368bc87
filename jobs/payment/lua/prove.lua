-- prove: note that the ledger and the gateway agree, so that new operations need not be asked for first.
--
-- KEYS  proven  str  there: nothing of this ledger was ever lost
-- GIVES 1 noted now, 0 noted before
-- FAILS nothing
-- COST  O(1)
return redis.call('SETNX', proven, '1')
