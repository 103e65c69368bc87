-- nodes_drop: forget nodes whose end their workflow knows; one that ended anew since it was taken stays.
--
-- KEYS  nodes_ended  zset  node that ended -> look at (ms)
-- KEYS  how          hash  node that ended -> how
-- ARGV  till         str   end of the lease they were taken with
-- ARGV  ids          rest  nodes, at most 100
-- GIVES how many were dropped
-- FAILS nothing
-- COST  O(log n) a node
-- USES  text
local dropped = 0
for i = 1, ids_n do
  local score = redis.call('ZSCORE', nodes_ended, ids(i))
  if score and text(tonumber(score)) == till then
    redis.call('ZREM', nodes_ended, ids(i))
    redis.call('HDEL', how, ids(i))
    dropped = dropped + 1
  end
end
return dropped
