-- deactivate(...): serve a lane no more, nor a tenant without lanes.
local function deactivate(here, tenant, lane)
  if redis.call('ZREM', here .. 'lanes:' .. tenant, lane) == 1 and redis.call('EXISTS', here .. 'lanes:' .. tenant) == 0 then
    redis.call('ZREM', here .. 'tenants', tenant)
  end
end
