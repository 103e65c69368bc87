-- dead_letters_page: read dead letters of one queue in order of their deaths, from where the last page ended.
--
-- KEYS  dead       zset  job id -> died at (ms)
-- ARGV  ours       str   prefix of our keys
-- ARGV  now_ms     int   0 = ask the server
-- ARGV  order      str   REV = newest first, '' = oldest first
-- ARGV  since_ms   int   died then or later
-- ARGV  until_ms   int   died then or earlier; 0 = now
-- ARGV  after_ms   str   died-at of the last letter read; '' = begin
-- ARGV  after_id   str   its id
-- ARGV  limit      int   letters at most, 1..100
-- ARGV  max_bytes  int   stop after this many bytes of payloads and notes
-- GIVES until_ms as used, 1 if this was the end, then one list a letter: id, died at, and the fields queue, reason,
-- GIVES attempts, at, note, r, bytes, payload
-- FAILS nothing
-- COST  O(log n + limit)
-- USES  now text precedes resume_at
local until_used = until_ms > 0 and until_ms or now(now_ms)
local backwards = order == 'REV'
local first
if after_ms ~= '' then
  first = resume_at(dead, order, after_ms, after_id)
elseif backwards then
  first = redis.call('ZCOUNT', dead, '(' .. text(until_used), '+inf')
else
  first = redis.call('ZCOUNT', dead, '-inf', '(' .. text(since_ms))
end
local page = redis.call(backwards and 'ZREVRANGE' or 'ZRANGE', dead, first, first + limit - 1, 'WITHSCORES')
local found, bytes, at_end = { until_used, 1 }, 0, #page < limit * 2
for i = 1, #page, 2 do
  local died_ms = tonumber(page[i + 1])
  if died_ms < since_ms or died_ms > until_used then
    at_end = true
    break
  end
  local fields = redis.call(
    'HMGET', ours .. 'dead:' .. page[i], 'queue', 'reason', 'attempts', 'at', 'note', 'r', 'bytes', 'payload'
  )
  bytes = bytes + #(fields[5] or '') + #(fields[8] or '')
  found[#found + 1] = { page[i], page[i + 1], unpack(fields, 1, 8) }
  if bytes > max_bytes then
    at_end = at_end and i == #page - 1
    break
  end
end
found[2] = at_end and 1 or 0
return found
