-- rule(here, …): the first number that the queue's rules have under one of these names; nil for none. Where there are few
-- they are read at once.
local rules_read, has_many
local function rule(here, ...)
  if not rules_read then
    rules_read, has_many = {}, redis.call('HLEN', here .. 'rules') > 100
    local all = has_many and rules_read or redis.call('HGETALL', here .. 'rules')
    for i = 1, #all, 2 do
      rules_read[all[i]] = all[i + 1]
    end
  end
  local values = has_many and redis.call('HMGET', here .. 'rules', ...)
  for i = 1, select('#', ...) do
    local value = tonumber((values and values[i] or rules_read[select(i, ...)]) or '')
    if value then
      return value
    end
  end
end
