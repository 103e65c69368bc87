-- nodes_take: take nodes whose end their workflow may not know yet. Others see them again when the lease is over.
--
-- KEYS  nodes_ended  zset  node that ended -> look at (ms)
-- KEYS  how          hash  node that ended -> how
-- ARGV  now_ms       int   0 = ask the server
-- ARGV  lease_ms     int   time to tell the workflow
-- ARGV  limit        int   nodes a call, at most 100
-- ARGV  max_bytes    int   a page ends after so many, however few nodes that is
-- GIVES end of the lease, 1 if there may be more, then id and how of each node
-- FAILS nothing
-- COST  O(log n) a node
-- USES  now text
local at = now(now_ms)
local till, bytes = text(at + lease_ms), 0
local ids = redis.call('ZRANGE', nodes_ended, '-inf', text(at), 'BYSCORE', 'LIMIT', 0, limit)
local found = { till, #ids == limit and 1 or 0 }
for _, id in ipairs(ids) do
  if bytes > max_bytes then
    found[2] = 1
    break
  end
  local word = redis.call('HGET', how, id) or ''
  bytes = bytes + #word
  redis.call('ZADD', nodes_ended, 'XX', till, id)
  found[#found + 1], found[#found + 2] = id, word
end
return found
