-- queue_page: name jobs of one queue in order of due, from where the last page ended.
--
-- KEYS  queue     zset  job id -> due at (ms)
-- ARGV  now_ms    int   0 = ask the server
-- ARGV  since_ms  int   due then or later; 0 = whenever
-- ARGV  until_ms  int   due then or earlier; 0 = whenever
-- ARGV  after_ms  str   due of the last job named; '' = begin
-- ARGV  after_id  str   its id
-- ARGV  limit     int   jobs at most, 1..100
-- GIVES now ms, then two a job: id, due ms
-- FAILS nothing
-- COST  O(log n + limit)
-- USES  now text precedes resume_at
local first
if after_ms ~= '' then
  first = resume_at(queue, '', after_ms, after_id)
else
  first = since_ms > 0 and redis.call('ZCOUNT', queue, '-inf', '(' .. text(since_ms)) or 0
end
local found = { (now(now_ms)) }
local page = redis.call('ZRANGE', queue, first, first + limit - 1, 'WITHSCORES')
for i = 1, #page, 2 do
  if until_ms > 0 and tonumber(page[i + 1]) > until_ms then
    break
  end
  found[#found + 1], found[#found + 2] = page[i], page[i + 1]
end
return found
