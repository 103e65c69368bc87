-- flow_end(flow, node, how, fence, edges, value): a node ended; the same end again changes nothing. `edges` is what
-- follows when it is done, `|`, what otherwise; of a saga's step also what when nobody knows, and what when it is done
-- but the saga was cancelled.
local function flow_end(flow, node, how, fence, edges, value)
  local after, otherwise, unsure, back = string.match(edges, '^([^|]*)|([^|]*)|?([^|]*)|?([^|]*)$')
  after = flow.is_turned and back ~= '' and back or after
  otherwise = how == 'undecided' and unsure ~= '' and unsure or otherwise
  redis.call('SREM', flow.todo, node)
  if redis.call('HEXISTS', flow.results, node) + redis.call('HEXISTS', flow.aside, 'n' .. node) > 0 then
    return
  elseif how ~= 'done' and otherwise ~= '' then
    return flow_fail(flow, node, how, fence, otherwise, value)
  end
  redis.call('HSET', otherwise == '' and flow.aside or flow.results, (otherwise == '' and 'n' or '') .. node, value)
  redis.call('HDEL', flow.failures, node)
  local has_failed = flow.is == 'failed' or flow.is == 'needs_attention'
  if redis.call('SREM', flow.dead, node) == 1 and has_failed and redis.call('SCARD', flow.dead) == 0 then
    flow_reopen(flow)
  end
  flow_follow(flow, after, node, value)
end
