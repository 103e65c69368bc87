-- flow_of(own, id, at): the keys of a workflow by their part, and the state it is in: `is` is nil when there is none.
-- `goes_on`: whether what becomes due is done; otherwise it is held.
local function flow_of(own, id, at)
  local flow = { at = text(at) }
  for _, part in ipairs({ 'state', 'plan', 'units', 'done', 'results', 'aside', 'failures', 'dead', 'todo', 'held', 'job', 'result' }) do
    flow[part] = own .. part .. ':' .. id
  end
  local known = redis.call('HMGET', flow.state, 's', 'round', 'policy', 'value', 'error', 'keep', 'keep_failed', 'saga', 'turned', 'reopened')
  flow.is, flow.round, flow.policy, flow.value, flow.has_error = known[1], known[2], known[3], known[4], known[5] == '1'
  flow.keep_ms, flow.keep_failed_ms = tonumber(known[6] or 0), tonumber(known[7] or 0)
  flow.is_saga, flow.is_turned, flow.reopened_ms = known[8] == '1', known[9] == '1', tonumber(known[10] or -1)
  flow.goes_on = flow.is == 'running' or flow.is == 'failed' and flow.policy == 'finish'
  return flow
end
