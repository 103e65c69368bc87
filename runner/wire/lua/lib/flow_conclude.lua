-- flow_conclude(flow, word, node, value): the workflow ends in the state `word`, by a node and with what that returned.
-- Failing calls on_error and cancels the others, by policy. A saga that is undone tells of the step that failed.
local function flow_conclude(flow, word, node, value)
  if flow.is ~= 'running' then
    return
  end
  local is_good, is_cancelled = word == 'succeeded', word == 'cancelled'
  if word == 'undone' then
    node = redis.call('HGET', flow.state, 'cause')
    is_cancelled, value = not node, node and string.match(redis.call('HGET', flow.failures, node), '\n(.*)$') or 'null'
    node = node or ''
  end
  local told = is_good and flow.value ~= '' and '{"$group":' .. flow.value .. '}' or value
  redis.call('HSET', flow.state, 's', word, 'ended', flow.at, 'node', is_good and '' or node)
  local how = is_cancelled and '"cancelled"' or '""'
  redis.call('SET', flow.result, '{"s":' .. (is_good and 'true' or 'false') .. ',"o":' .. how .. ',"r":' .. told .. '}')
  redis.call('DEL', flow.job)
  redis.call('SADD', flow.todo, '!list')
  flow.is, flow.goes_on = word, word == 'failed' and flow.policy == 'finish'
  if not is_good and not is_cancelled and flow.has_error then
    redis.call('HSET', flow.state, 'failure:' .. flow.round, '{"node":"' .. node .. '","error":' .. value .. '}')
    redis.call('SADD', flow.todo, 'e' .. flow.round)
  end
  if not is_good and not flow.goes_on then
    redis.call('SADD', flow.todo, '!cancel:' .. flow.round .. ':0')
  end
end
