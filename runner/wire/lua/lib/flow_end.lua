-- flow_end(flow, node, how, fence, edges, value): a node ended; the same end again changes nothing. `edges` is what
-- follows when it is done, `|`, what otherwise. A node that is cancelled because the workflow has ended waits for a retry.
local function flow_end(flow, node, how, fence, edges, value)
  local after, otherwise = string.match(edges, '^([^|]*)|(.*)$')
  redis.call('SREM', flow.todo, node)
  if how == 'done' or otherwise == '' then
    if redis.call('HSETNX', otherwise == '' and flow.aside or flow.results, node, value) == 1 then
      redis.call('HDEL', flow.failures, node)
      local was_dead = redis.call('SREM', flow.dead, node) == 1
      if was_dead and flow.is == 'failed' and redis.call('SCARD', flow.dead) == 0 then
        flow_reopen(flow)
      end
      flow_follow(flow, after, node, value)
    end
    return
  end
  local known = string.match(redis.call('HGET', flow.failures, node) or '', '^%d+')
  if redis.call('HEXISTS', flow.results, node) == 1 or known and tonumber(known) >= tonumber(fence) then
    return
  end
  local is_aside = how == 'cancelled' and not flow.goes_on
  local bit = not is_aside and string.match(otherwise, '^(%d+)%.')
  redis.call('HSET', flow.failures, node, fence .. ' ' .. flow.round .. ' ' .. (bit and 'collected' or how) .. '\n' .. value)
  if bit then
    redis.call('HSETNX', flow.aside, bit, value)
  elseif not is_aside then
    redis.call('SADD', flow.dead, node)
  end
  if not is_aside then
    flow_follow(flow, otherwise, node, value)
  end
end
