-- flow_follow(flow, edge, node, value): go where an end leads: `>7` unit 7 becomes due; `12.3` bit 12 of group 3 is set,
-- and the group's own edge follows when that was the last; `=word` the workflow ends in that state; '' nowhere.
local function flow_follow(flow, edge, node, value)
  while edge and edge ~= '' do
    local kind, rest = string.sub(edge, 1, 1), string.sub(edge, 2)
    if kind == '>' then
      edge = flow_enter(flow, rest)
    elseif kind == '=' then
      flow_conclude(flow, rest, node, value)
      return
    else
      local bit, unit = string.match(edge, '^(%d+)%.(%d+)$')
      if redis.call('SETBIT', flow.done, bit, 1) == 1 then
        return
      end
      local first, count, after = string.match(redis.call('HGET', flow.units, unit), '^(%d+) (%d+) (%S*) ')
      local last = text(tonumber(first) + tonumber(count) - 1)
      edge = redis.call('BITCOUNT', flow.done, first, last, 'BIT') == tonumber(count) and after
    end
  end
end
