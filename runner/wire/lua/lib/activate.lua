-- activate(...): let a lane be served, its head at this rank, and its tenant with it. A tenant's only lane stands in `lone`
-- and needs no ZSET of its own; jobs without a tenant always have one, for the lane 'plain'.
local function activate(here, tenant, lane, head)
  local lanes, pass = here .. 'lanes:' .. tenant, string.format('%.17g', virtual_time(here) + stride(here, tenant))
  if tenant == '' then
    if redis.call('ZADD', lanes, head, lane) == 1 then
      redis.call('ZADD', here .. 'tenants', 'NX', pass, tenant)
    end
  elseif redis.call('ZADD', here .. 'tenants', 'NX', pass, tenant) == 1 then
    redis.call('HSET', here .. 'lone', tenant, lane)
  else
    local lone = redis.call('HGET', here .. 'lone', tenant)
    if not lone then
      redis.call('ZADD', lanes, head, lane)
    elseif lone ~= lane then
      redis.call('HDEL', here .. 'lone', tenant)
      local rank = redis.call('ZRANGE', here .. 'lane:' .. lone, 0, 0, 'WITHSCORES')[2] or head
      redis.call('ZADD', lanes, rank, lone, head, lane)
    end
  end
end
