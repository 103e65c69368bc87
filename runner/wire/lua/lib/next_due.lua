-- next_due(...): ms until the next job of a queue falls due, the next lease ends or a gate opens; -1 for none.
local function next_due(queue, here, at)
  local due
  for _, set in ipairs(here and { queue, here .. 'shut' } or { queue }) do
    local first = tonumber(redis.call('ZRANGE', set, '(' .. text(at), '(1e15', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2])
    due = first and math.min(first, due or first) or due
  end
  return due and math.max(1, math.ceil(due - at)) or -1
end
