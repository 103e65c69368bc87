-- activate(...): let a lane be served, its head at this rank, and its tenant with it.
local function activate(here, tenant, lane, head)
  local is_news = redis.call('ZADD', here .. 'lanes:' .. tenant, head, lane) == 1
  if is_news and not redis.call('ZSCORE', here .. 'tenants', tenant) then
    local pass = virtual_time(here) + stride(here, tenant)
    redis.call('ZADD', here .. 'tenants', string.format('%.17g', pass), tenant)
  end
end
