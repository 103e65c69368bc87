-- flow_fail(flow, node, how, fence, otherwise, value): a node ended without success; `otherwise` follows. One that is
-- cancelled because the workflow has ended waits for a retry; one that was on its way to that when the retry came (its
-- fence, in us, is older) is done again.
local function flow_fail(flow, node, how, fence, otherwise, value)
  local known = string.match(redis.call('HGET', flow.failures, node) or '0', '^%d+')
  if tonumber(known) >= tonumber(fence) then
    return
  elseif how == 'cancelled' and flow.goes_on and tonumber(fence) < (flow.reopened_ms + 1) * 1000 then
    flow_enter(flow, node)
    return
  end
  local is_aside = how == 'cancelled' and not flow.goes_on
  local bit = not is_aside and string.match(otherwise, '^(%d+)%.')
  local turns = not is_aside and (string.sub(otherwise, 1, 1) == '>' or otherwise == '=undone')
  local note = fence .. ' ' .. flow.round .. ' ' .. ((bit or turns) and 'collected' or how) .. '\n' .. value
  redis.call('HSET', flow.failures, node, note)
  if turns then
    redis.call('HSETNX', flow.state, 'cause', node)
  end
  if bit or turns then
    redis.call('HSETNX', flow.aside, bit or 'n' .. node, value)
  elseif not is_aside then
    redis.call('SADD', flow.dead, node)
  end
  if not is_aside then
    flow_follow(flow, otherwise, node, value)
  end
end
