-- activate(...): let a lane be served, its head at this rank, and its tenant with it.
local function activate(here, tenant, lane, head)
  if redis.call('ZADD', here .. 'lanes:' .. tenant, head, lane) == 1 then
    local pass = virtual_time(here) + stride(here, tenant)
    redis.call('ZADD', here .. 'tenants', 'NX', string.format('%.17g', pass), tenant)
  end
end
