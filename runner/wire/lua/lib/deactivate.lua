-- deactivate(...): serve a lane no more, nor a tenant without lanes.
local function deactivate(here, tenant, lane)
  local lanes, is_gone = here .. 'lanes:' .. tenant, false
  if tenant ~= '' and redis.call('HGET', here .. 'lone', tenant) == lane then
    is_gone = redis.call('HDEL', here .. 'lone', tenant) == 1
  else
    is_gone = redis.call('ZREM', lanes, lane) == 1 and redis.call('EXISTS', lanes) == 0
  end
  if is_gone then
    redis.call('ZREM', here .. 'tenants', tenant)
  end
end
