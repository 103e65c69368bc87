-- rate_of(...): count, period and burst of a bucket, 'count period burst': as set at run time for the bucket or for its
-- limit, else as given. Read once a call.
local rates_read = {}
local function rate_of(ours, bucket, limit, given)
  local name = bucket .. '\n' .. limit
  if rates_read[name] == nil then
    local found = redis.call('HMGET', ours .. 'limits', bucket, limit)
    rates_read[name] = found[1] or found[2]
  end
  local count, period, burst = string.match(rates_read[name] or given, '^(%d+) (%d+) (%d+)$')
  return tonumber(count), tonumber(period), tonumber(burst)
end
