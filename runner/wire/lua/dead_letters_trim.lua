-- dead_letters_trim: delete the oldest dead letters of a queue that are too old, too many, or too large together.
--
-- KEYS  dead       zset  job id -> died at (ms)
-- KEYS  stats      hash  bytes, trimmed, trimmed_bytes
-- ARGV  ours       str   prefix of our keys
-- ARGV  now_ms     int   0 = ask the server
-- ARGV  keep_ms    int   a letter stays this long
-- ARGV  max_count  int   letters that stay at most
-- ARGV  max_bytes  int   bytes of letters that stay at most
-- ARGV  limit      int   letters a step
-- GIVES how many were deleted; `limit` means that more may have to go
-- FAILS nothing
-- COST  O(log n) a deleted letter
-- USES  now exhume
local at = now(now_ms)
local count, trimmed = redis.call('ZCARD', dead), 0
local bytes = tonumber(redis.call('HGET', stats, 'bytes') or 0)
local had = bytes
local page = redis.call('ZRANGE', dead, 0, limit - 1, 'WITHSCORES')
for i = 1, #page, 2 do
  if tonumber(page[i + 1]) >= at - keep_ms and count <= max_count and bytes <= max_bytes then
    break
  end
  exhume(dead, ours, page[i])
  redis.call('UNLINK', ours .. 'dead:' .. page[i])
  count, trimmed = count - 1, trimmed + 1
  bytes = tonumber(redis.call('HGET', stats, 'bytes'))
end
if trimmed > 0 then
  redis.call('HINCRBY', stats, 'trimmed', trimmed)
  redis.call('HINCRBY', stats, 'trimmed_bytes', had - bytes)
end
return trimmed
