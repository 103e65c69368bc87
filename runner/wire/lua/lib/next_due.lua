-- next_due(...): ms until the next job of a queue falls due or the next lease ends; -1 for none.
local function next_due(queue, at)
  local due = redis.call('ZRANGE', queue, '(' .. text(at), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
  return due and math.max(1, math.ceil(tonumber(due) - at)) or -1
end
