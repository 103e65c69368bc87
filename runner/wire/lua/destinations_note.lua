-- destinations_note: add what a worker heard of the other sides that jobs call, by the minute and by the hour.
--
-- KEYS  heard    zset  destination -> last heard of (ms)
-- KEYS  failed   zset  destination -> last failure (ms)
-- ARGV  prefix   str   of the destinations' hashes
-- ARGV  now_ms   int   0 = ask the server
-- ARGV  most     int   destinations that are kept; what is heard of others counts for '(others)'
-- ARGV  entries  rest  destination, counts: numbers with a blank between them, the second one of failures; repeated, at
-- entries: most 100
--
-- <prefix><destination> HASH PX: m0 to m59 the last hour's minutes, h0 to h23 the last day's hours; each has its number
--                       since the epoch and then the counts
--
-- GIVES how many were new
-- FAILS nothing
-- COST  O(1) a destination
-- USES  now text
local at = now(now_ms)
local kept_ms, new = 25 * 3600000, 0
local minute, hour = math.floor(at / 60000), math.floor(at / 3600000)

local function add(key, field, number, counts)
  local sums, i = { text(number) }, 0
  local before = string.gmatch(redis.call('HGET', key, field) or '', '%S+')
  local is_same = before() == sums[1]
  for count in string.gmatch(counts, '%S+') do
    i = i + 1
    sums[i + 1] = text(tonumber(count) + (is_same and tonumber(before()) or 0))
  end
  redis.call('HSET', key, field, table.concat(sums, ' '))
end

redis.call('ZREMRANGEBYSCORE', heard, '-inf', text(at - kept_ms))
redis.call('ZREMRANGEBYSCORE', failed, '-inf', text(at - kept_ms))
for i = 1, entries_n, 2 do
  local name, counts = entries(i), entries(i + 1)
  if not redis.call('ZSCORE', heard, name) then
    name = redis.call('ZCARD', heard) < most and name or '(others)'
    new = new + 1
  end
  local key = prefix .. name
  add(key, 'm' .. minute % 60, minute, counts)
  add(key, 'h' .. hour % 24, hour, counts)
  redis.call('PEXPIRE', key, kept_ms)
  redis.call('ZADD', heard, text(at), name)
  if tonumber(string.match(counts, ' (%S+)')) > 0 then
    redis.call('ZADD', failed, text(at), name)
  end
end
return new
