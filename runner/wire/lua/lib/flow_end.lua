-- flow_end(flow, node, how, fence, edges, value): a node ended; the same end again changes nothing. `edges` is what
-- follows when it is done, `|`, what otherwise; of a saga's step also what when nobody knows, and what when it is done
-- but the saga was cancelled. A node that is cancelled because the workflow has ended waits for a retry.
local function flow_end(flow, node, how, fence, edges, value)
  local after, otherwise, unsure, back = string.match(edges, '^([^|]*)|([^|]*)|?([^|]*)|?([^|]*)$')
  after = flow.is_turned and back ~= '' and back or after
  otherwise = how == 'undecided' and unsure ~= '' and unsure or otherwise
  redis.call('SREM', flow.todo, node)
  if redis.call('HEXISTS', flow.results, node) + redis.call('HEXISTS', flow.aside, 'n' .. node) > 0 then
    return
  elseif how == 'done' or otherwise == '' then
    redis.call('HSET', otherwise == '' and flow.aside or flow.results, (otherwise == '' and 'n' or '') .. node, value)
    redis.call('HDEL', flow.failures, node)
    local has_failed = flow.is == 'failed' or flow.is == 'needs_attention'
    if redis.call('SREM', flow.dead, node) == 1 and has_failed and redis.call('SCARD', flow.dead) == 0 then
      flow_reopen(flow)
    end
    return flow_follow(flow, after, node, value)
  end
  local known = string.match(redis.call('HGET', flow.failures, node) or '0', '^%d+')
  if tonumber(known) >= tonumber(fence) then
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
