-- owned(...): how many jobs of a tenant were counted by own() and have not ended; nothing where there is room for one more.
local function owned(here, most, tenant)
  if most == 0 or tenant == '' then
    return nil
  end
  local count = redis.call('ZLEXCOUNT', here .. 'owned', '[' .. tenant .. '\31', '(' .. tenant .. ' ')
  return count >= most and count or nil
end
