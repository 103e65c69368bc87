-- flow_enter(flow, word): something becomes due: a node, a group, or a word of what is to be done. Gives the edge to
-- follow when it is a group without members. Nothing more begins of a workflow that succeeded without its stragglers.
local function flow_enter(flow, word)
  local is_unit = string.match(word, '^%d+$')
  local count, edge = string.match(is_unit and redis.call('HGET', flow.units, word) or '', '^%d+ (%d+) (%S*) ')
  if count == '0' then
    return edge
  elseif flow.is == 'succeeded' and string.match(word, '^%d') then
    return
  end
  local holds = not flow.goes_on and string.match(word, '^%d')
  redis.call('SADD', holds and flow.held or flow.todo, count and word .. ':0' or word)
end
