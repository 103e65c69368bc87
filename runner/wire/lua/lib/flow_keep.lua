-- flow_keep(flow): a workflow that has ended is kept for as long as it says, one that has not for ever, and so is a
-- saga that needs attention: half of it has happened.
local function flow_keep(flow)
  local keep_ms = (flow.is == 'running' or flow.is == 'needs_attention') and -1 or flow.is == 'succeeded' and flow.keep_ms or flow.keep_failed_ms
  for _, part in ipairs({ 'state', 'plan', 'units', 'done', 'results', 'aside', 'failures', 'dead', 'todo', 'held', 'job', 'result' }) do
    if keep_ms < 0 then
      redis.call('PERSIST', flow[part])
    else
      redis.call('PEXPIRE', flow[part], math.max(keep_ms, 60000))
    end
  end
end
