-- activate(...): let a lane be served, its head at this rank, and its tenant with it. A tenant's only lane stands in `lone`
-- and needs no ZSET of its own; jobs without a tenant always have one, for the lane 'plain'.
local function activate(here, tenant, lane, head)
  local lanes, lone = here .. 'lanes:' .. tenant, tenant ~= '' and redis.call('HGET', here .. 'lone', tenant)
  local is_new = not lone
  if lone == lane then
    return
  elseif lone then
    redis.call('HDEL', here .. 'lone', tenant)
    redis.call('ZADD', lanes, redis.call('ZRANGE', here .. 'lane:' .. lone, 0, 0, 'WITHSCORES')[2] or head, lone, head, lane)
  elseif tenant ~= '' and redis.call('EXISTS', lanes) == 0 then
    redis.call('HSET', here .. 'lone', tenant, lane)
  else
    is_new = redis.call('ZADD', lanes, head, lane) == 1
  end
  if is_new then
    local pass = virtual_time(here) + stride(here, tenant)
    redis.call('ZADD', here .. 'tenants', 'NX', string.format('%.17g', pass), tenant)
  end
end
