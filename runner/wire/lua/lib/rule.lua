-- rule(here, …): the first number that the queue's rules have under one of these names; nil for none.
local has_rules
local function rule(here, ...)
  if has_rules == nil then
    has_rules = redis.call('EXISTS', here .. 'rules') == 1
  end
  for _, value in ipairs(has_rules and redis.call('HMGET', here .. 'rules', ...) or {}) do
    if value and tonumber(value) then
      return tonumber(value)
    end
  end
end
